/* One user: what she waits for, what has happened to her, who is connected, what was not copied. */
import { userActions } from "./actions.js";
import { ask, Refused, userPath } from "./api.js";
import { drop } from "./drops.js";
import { el, panel, table } from "./dom.js";
import { bytes, count, date, percent, some, span } from "./format.js";
import { waveLink } from "./overview.js";
import { sessionTable } from "./sessions.js";
import { badge, mark } from "./states.js";
import { comparison, comparisonPanel } from "./verify.js";
import { exceptionButtons, waiverButton } from "./waivers.js";

const LOGINS = 100;
const TONES = { ok: "good", waits: "busy", warns: "warn", waived: "plain" };

/* ---- why */

/* Some texts end in their remedy already. */
function withoutRemedy(w) {
	const tail = `; remedy: ${w.remedy}`;

	return w.remedy && w.text.endsWith(tail) ? w.text.slice(0, -tail.length) : w.text;
}

function waits(list, user) {
	if (!list.length)
		return el("p", { class: "empty" }, "Nothing is waited for.");
	return el("ul", { class: "checks" }, list.map((w) => el("li", {},
		el("span", { class: "what" }, mark(TONES[w.state] ?? "busy", w.state), " ", el("strong", {}, w.name)),
		el("span", {}, withoutRemedy(w)), w.remedy && el("span", { class: "remedy" }, w.remedy), waiverButton(user, w))));
}

function whyPanel(d) {
	const q = d.why.quiet;

	return panel("Why", el("p", { class: "summary" }, d.why.summary),
		q && el("p", {}, `${count(q.acked)} of ${some(q.nodes, "node is", "nodes are")} quiet`, q.waiting && `; ${q.waiting}`),
		waits(d.why.waits_for.toSorted((a, b) => a.open - b.open), d.why.user));
}

/* ---- facts */

function facts(rows) {
	return el("dl", { class: "facts" }, rows.filter(([, v]) => v !== null && v !== false && v !== "").map(([k, v]) =>
		el("div", {}, el("dt", {}, k), el("dd", {}, v))));
}

function factsPanel(u) {
	const p = u.progress;

	return panel("Facts", facts([
		["State", [badge(u.state), ` since ${date(u.state_since)}`]],
		["Logins go", u.route === "hold" ? "nowhere: they wait" : `to ${u.side}`],
		["Wave", waveLink(u.wave)],
		["Login on old", u.old_login],
		["Login on new", u.new_login],
		["Messages", `${count(p.messages)} (${bytes(p.bytes)}), ${percent(p.verified, p.messages)} compared`],
		["Last pass", p.ended ? `${date(p.ended)}, took ${span(p.took_ms)}${p.clean ? ", clean" : ""}` : "none yet"],
		["Its error", p.error],
		["Now", u.running ? `${u.running.kind} ${u.running.folder} ${count(u.running.done)} of ${count(u.running.total)}` : ""],
		["Failed in a row", u.attempts ? `${count(u.attempts)}; again at ${date(u.next_try)}` : ""],
		["Cutovers undone", u.undos ? count(u.undos) : ""],
		["Room on new", p.quota],
		["Changes on the side left", p.strays ? `${count(p.strays)}, last at ${date(p.last_stray)}` : ""],
	]));
}

/* ---- history */

function moveEvent(h) {
	return { at: h.at, what: [badge(h.from), " → ", badge(h.to)], by: h.actor, why: h.why };
}

function loginEvent(l) {
	const held = l.held_ms ? `, of it held ${span(l.held_ms)}` : "";

	return { at: l.at, bad: l.result !== "ok", what: `login to ${l.side} by ${l.proto}: ${l.result}`, by: l.node,
		 why: `${l.route}; took ${span(l.took_ms)}${held}${l.client && `; ${l.client}`}` };
}

function dropEvent(d) {
	return { at: d.at, what: `session on ${d.side} ended: ${d.why}`, by: d.node,
		 why: `${d.doing || "nothing open"}; BYE ${d.bye}${d.client && `; ${d.client}`}; ${d.back_ms ? `back after ${span(d.back_ms)}` : "not back yet"}` };
}

function timeline(d) {
	const events = [...d.moves.map(moveEvent), ...d.logins.map(loginEvent), ...d.drops.map(dropEvent)].sort((a, b) => b.at - a.at);

	if (!events.length)
		return el("p", { class: "empty" }, "Nothing has happened yet.");
	return el("ol", { class: "timeline" }, events.map((e) => el("li", { class: e.bad && "bad" },
		el("time", { datetime: new Date(e.at).toISOString() }, date(e.at)),
		el("div", {}, el("p", { class: "what" }, e.what), el("p", { class: "muted" }, e.by && `${e.by}: `, e.why)))));
}

/* ---- the rest */

/* The journal may be in other hands for a moment; all else is known. */
async function exceptionsOf(get) {
	try {
		return await get("/exceptions?limit=100");
	} catch (e) {
		if (!(e instanceof Refused) || e.status === 401)
			throw e;
		return { trouble: e.message };
	}
}

function exceptionsPanel(user, x) {
	if (x.trouble)
		return panel("Messages that were not copied", el("p", { class: "trouble", role: "alert" }, `Not known now: ${x.trouble}`));
	return panel("Messages that were not copied", table([
		{ title: "Folder", cell: (e) => e.folder },
		{ title: "UID", number: true, cell: (e) => e.uid },
		{ title: "Subject", cell: (e) => e.subject },
		{ title: "Size", number: true, cell: (e) => bytes(e.size) },
		{ title: "Kind", cell: (e) => e.kind },
		{ title: "Reason", class: "grow", cell: (e) => e.reason },
		{ title: "Waived", cell: (e) => (e.waived ? mark("plain", "waived") : e.retry ? mark("busy", "again") : "") },
	], x.exceptions, "None.", "Exceptions"), exceptionButtons(user, x.exceptions, x.more),
	x.repairs.length > 0 && el("p", {}, `${some(x.repairs.length, "message was", "messages were")} repaired on the way; mailferry exceptions shows what was changed.`));
}

export function user(params, name) {
	const compared = comparison(name);

	return {
		title: name,
		head: [el("p", { class: "crumbs" }, el("a", { href: "#/users" }, "Users")), el("h1", {}, name)],
		load: async (signal) => {
			const get = (tail) => ask(userPath(name, tail), null, signal);
			const [why, moves, logins, drops, exceptions, verified] = await Promise.all([get("/why"), get("/history?last=200"),
				get(`/logins?last=${LOGINS}`), get("/drops?last=100"), exceptionsOf(get), compared.get(signal)]);

			return { why, moves: moves.history, logins: logins.logins, drops: drops.drops, exceptions, verified };
		},
		body: (d) => [userActions(d.why.user, [
			[true, "Compare now", compared.begin],
			[d.why.sessions.length > 0, "Drop sessions", () => drop(name)]]),
			el("div", { class: "pair" }, whyPanel(d), factsPanel(d.why.user)),
			panel("History", timeline(d)), panel("Sessions", sessionTable(d.why.sessions)), comparisonPanel(d.verified), exceptionsPanel(name, d.exceptions)],
	};
}
