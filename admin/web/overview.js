/* Everything at a glance. */
import { ask, query } from "./api.js";
import { el, panel, table } from "./dom.js";
import { nodeButton } from "./drops.js";
import { bytes, clock, count, date, percent, some, span } from "./format.js";
import { plot } from "./plot.js";
import { badge, mark, MEANING, onNew, progressBar, stateBar, STATES } from "./states.js";

const RANGES = [["3600", "1 hour"], ["21600", "6 hours"], ["86400", "1 day"]];
const MOVES = 12;

export function userLink(name) {
	return el("a", { href: `#/user/${encodeURIComponent(name)}` }, name);
}

export function waveLink(name) {
	return el("a", { href: `#/wave/${encodeURIComponent(name)}` }, name || "(none)");
}

function usersLink(params, text) {
	return el("a", { href: `#/users${query(params)}` }, text);
}

/* ---- the figures */

function tile(title, figure, ...below) {
	return el("div", { class: "tile" }, el("h3", {}, title), el("p", { class: "figure" }, figure), el("p", { class: "muted" }, below));
}

function restOf(pace) {
	if (!pace.left)
		return ["all compared", "nothing known is left to copy"];
	if (!pace.eta_ms)
		return ["–", `${count(pace.left)} messages left; nothing moves just now`];
	return [span(pace.eta_ms), `${count(pace.left)} messages left at ${count(Math.round(pace.compared_per_minute))} a minute`];
}

function troubles(u) {
	const parts = [["stuck", u.stuck, "stuck"], ["failing", u.failing, "failing, tried again"], ["exceptions", u.users_with_exceptions, "with messages that could not be copied"]];
	const there = parts.filter(([, n]) => n);

	if (!there.length)
		return tile("Errors", "0", "nobody is stuck or failing");
	return tile("Errors", count(u.stuck + u.failing),
		there.map(([only, n, text], i) => [i ? ", " : "", usersLink({ only }, `${count(n)} ${text}`)]));
}

function holdsTile(h) {
	if (!h.count)
		return tile("Logins that waited", "0", "in the last hour");
	return tile("Logins that waited", count(h.count), `in the last hour; half up to ${span(h.p50_ms)}, 95 % up to ${span(h.p95_ms)}, at most ${span(h.max_ms)}`);
}

function tiles({ status: { users: u, sessions: s, holds, pace } }) {
	const moved = onNew(u.states), moving = u.states.freezing + u.states.finalizing;
	const [eta, why] = restOf(pace);

	return el("div", { class: "tiles" },
		tile("Users on new", `${count(moved)} of ${count(u.users)}`, progressBar(moved, u.users, "users on new")),
		tile("Messages compared", percent(u.verified, u.messages), `${count(u.verified)} of ${count(u.messages)}, ${bytes(u.bytes)}`),
		tile("Copied in about", eta, why),
		tile("Cutovers now", count(moving), some(u.go, "user has", "users have"), " the go"),
		tile("Sessions", count(s.total), `old ${count(s.old)}, new ${count(s.new)}, waiting ${count(s.waiting)}`),
		holdsTile(holds), troubles(u));
}

/* ---- panels */

function statesPanel(u) {
	return panel("Users by state", stateBar(u.states),
		el("ul", { class: "legend" }, STATES.map((s) => el("li", {}, badge(s), usersLink({ state: s }, count(u.states[s])),
			el("span", { class: "muted wide" }, MEANING[s])))));
}

function wavesPanel(waves) {
	return panel("Waves", table([
		{ title: "Wave", cell: (w) => waveLink(w.wave) },
		{ title: "Progress", class: "grow", cell: (w) => stateBar(w.states) },
		{ title: "On new", number: true, cell: (w) => `${count(onNew(w.states))} of ${count(w.users)}` },
		{ title: "Ready", number: true, cell: (w) => count(w.states.ready) },
		{ title: "Moving", number: true, cell: (w) => count(w.states.freezing + w.states.finalizing) },
		{ title: "Compared", number: true, cell: (w) => percent(w.verified, w.messages) },
		{ title: "Stuck", number: true, cell: (w) => (w.stuck ? el("a", { class: "bad", href: `#/users${query({ wave: w.wave, only: "stuck" })}` }, count(w.stuck)) : "0") },
	], waves, "No users yet: mailferry import FILE brings them in.", "Waves"));
}

/* Differences between samples, a minute. */
function speed(samples, key) {
	return samples.slice(1).map((s, i) => {
		const ms = s.at - samples[i].at, n = s[key] - samples[i][key];

		return [s.at, ms > 0 && n >= 0 ? (n * 60000) / ms : null];
	});
}

function level(samples, key) {
	return samples.map((s) => [s.at, s[key]]);
}

function plotsPanel({ rates, status }) {
	/* An engine that was started just now has no longer past. */
	const from = Math.max(status.now - rates.seconds * 1000, rates.samples[0]?.at ?? 0), to = status.now;
	const draw = (title, points, format) => el("figure", {}, el("figcaption", {}, title),
		points.filter((p) => p[1] !== null).length > 1 ? plot({ points, from, to, format, label: `${title}: the last is ${format(points.at(-1)[1] ?? 0)}` })
						  : el("p", { class: "empty" }, "The engine has just been started; a line comes with the next minutes."));

	return el("section", { class: "panel", id: "plots" }, el("h2", {}, "Over time"),
		draw("Messages compared a minute", speed(rates.samples, "verified"), (v) => count(Math.round(v))),
		draw("Messages copied a minute", speed(rates.samples, "copied"), (v) => count(Math.round(v))),
		draw("Users on new", level(rates.samples, "on_new"), (v) => count(Math.round(v))),
		draw("Live sessions", level(rates.samples, "sessions"), (v) => count(Math.round(v))));
}

function sessionsPanel(s) {
	return panel("Sessions", table([
		{ title: "Protocol", cell: (r) => r.proto.toUpperCase() },
		{ title: "Old", number: true, cell: (r) => count(r.old) },
		{ title: "New", number: true, cell: (r) => count(r.new) },
		{ title: "Waiting", number: true, cell: (r) => count(r.waiting) },
		{ title: "Not logged in", number: true, cell: (r) => count(r.total - r.old - r.new) },
	], s.protocols, "Nobody is connected.", "Sessions by protocol and side"));
}

function nodeMark(n) {
	const tone = n.health !== "up" ? "bad" : n.leaving || n.drain_until ? "busy" : "good";

	return mark(tone, n.health === "up" && n.leaving ? "leaving" : n.health === "up" && n.drain_until ? "drained" : n.health);
}

function nodesPanel({ nodes, engine: g, engines, certificates, now }) {
	const [first] = certificates;

	return panel("Nodes and engine", table([
		{ title: "Node", cell: (n) => n.node },
		{ title: "State", cell: nodeMark },
		{ title: "Sessions", number: true, cell: (n) => count(n.sessions) },
		{ title: "Up", cell: (n) => span(now - n.started) },
		{ title: "Build", class: "muted", cell: (n) => n.build },
		{ title: "Clients", cell: (n) => nodeButton(n, nodes) },
	], nodes, "No node is known.", "Nodes"),
	g && el("p", {}, `Engine: up ${span(now - g.started)}, `, g.stands_by ? "stands by" :
		`${g.workers} of ${g.workers_max} workers busy, ${some(g.queued, "user", "users")} queued, ${some(g.cutovers, "cutover", "cutovers")} under way`),
	engines.length > 1 && el("p", {}, engines.map((e) => [`${e.host}: ${e.is}${
		e.workers && e.is === "stands by" ? ` (makes ${e.leases} of ${e.workers} passes)` : ""}`, "; "])),
	first && el("p", { class: "muted" }, `The next certificate to expire is ${first.name || "the default"}, in ${some(first.days, "day", "days")}.`));
}

/* With several hosts also where. */
function work({ kind, host }, engines) {
	return engines.length > 1 ? `${kind}, ${host ? `on ${host}` : "offered"}` : kind;
}

function workPanel({ active, engines }) {
	return panel("At work now", table([
		{ title: "User", cell: (u) => userLink(u.name) },
		{ title: "State", cell: (u) => badge(u.state) },
		{ title: "Work", cell: (u) => (u.running ? work(u.running, engines) : "") },
		{ title: "Progress", cell: (u) => (u.running?.total ? progressBar(u.running.done, u.running.total, `progress of ${u.name}`) : "") },
		{ title: "Copied", number: true, cell: (u) => (u.running ? bytes(u.running.bytes) : "") },
		{ title: "Folder", cell: (u) => u.running?.folder ?? "" },
	], active, "Nobody is being copied or moved at this moment.", "At work now"));
}

function movesPanel(moves) {
	return panel("Last moves", table([
		{ title: "When", cell: (h) => date(h.at) },
		{ title: "User", cell: (h) => userLink(h.user) },
		{ title: "Move", cell: (h) => el("span", {}, badge(h.from), " → ", badge(h.to)) },
		{ title: "Why", class: "grow", cell: (h) => `${h.actor}: ${h.why}` },
	], moves.toReversed(), "Nobody has moved yet.", "Last moves"));
}

/* ---- the view */

export function overview(params) {
	const seconds = params.get("span") ?? RANGES[0][0];

	return {
		title: "Overview",
		head: [el("h1", {}, "Overview"), el("nav", { class: "choices", "aria-label": "Span of the plots" }, RANGES.map(([s, text]) =>
			el("a", { href: `#/${query({ span: s })}`, "aria-current": s === seconds && "true" }, text)))],
		load: async (signal) => {
			const [status, rates, past] = await Promise.all([ask("/v1/status", null, signal),
				ask(`/v1/rates${query({ seconds })}`, null, signal), ask(`/v1/history${query({ last: MOVES })}`, null, signal)]);

			return { status, rates, moves: past.history };
		},
		body: (d) => [
			d.status.warnings.length > 0 && el("ul", { class: "warnings", "aria-label": "Warnings" }, d.status.warnings.map((w) => el("li", {}, w))),
			tiles(d),
			d.status.strangers > 0 && el("p", { class: "note" }, `${some(d.status.strangers, "name", "names")} logged in that nobody imported: mailferry strangers lists them.`),
			statesPanel(d.status.users), wavesPanel(d.status.waves), plotsPanel(d),
			el("div", { class: "pair" }, sessionsPanel(d.status.sessions), nodesPanel(d.status)),
			workPanel(d.status), movesPanel(d.moves),
			el("p", { class: "muted" }, `As of ${clock(d.status.now)}.`)],
	};
}
