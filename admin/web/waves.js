/* The waves, and one wave with its report. */
import { waveActions } from "./actions.js";
import { ask, query } from "./api.js";
import { button, el, panel, save, table } from "./dom.js";
import { count, date, percent, some, span } from "./format.js";
import { opensrsActions, pullPanel, pullsOf } from "./opensrs.js";
import { waveLink } from "./overview.js";
import { badge, mark, onNew, stateBar, STATES } from "./states.js";
import { letWavePass, waiverTable } from "./waivers.js";

function timetableText(t) {
	if (!t)
		return "";
	return t.paused ? [mark("warn", "paused"), ` by ${t.by}: ${t.why ?? ""}`] : t.text;
}

export function waves() {
	return {
		title: "Waves",
		every_ms: 15000, /* sums over everybody */
		head: [el("h1", {}, "Waves")],
		load: (signal) => ask("/v1/status", null, signal),
		body: (d) => [el("section", { class: "panel" }, table([
			{ title: "Wave", cell: (w) => waveLink(w.wave) },
			{ title: "Progress", class: "grow", cell: (w) => stateBar(w.states) },
			{ title: "Users", number: true, cell: (w) => count(w.users) },
			{ title: "With the go", number: true, cell: (w) => count(w.go) },
			{ title: "On new", number: true, cell: (w) => count(onNew(w.states)) },
			{ title: "Compared", number: true, cell: (w) => percent(w.verified, w.messages) },
			{ title: "Stuck", number: true, cell: (w) => count(w.stuck) },
		], d.waves, "No users yet: mailferry import FILE brings them in.", "Waves"))],
	};
}

/* ---- one wave */

function statesOf(w) {
	return panel("Users by state", stateBar(w.states), el("ul", { class: "legend" }, STATES.filter((s) => w.states[s]).map((s) =>
		el("li", {}, badge(s), el("a", { href: `#/users${query({ wave: w.wave, state: s })}` }, count(w.states[s]))))));
}

function figures(r) {
	const h = r.holds;

	return el("dl", { class: "facts" }, [
		["Users", `${count(r.users)}, ${count(r.on_new)} on new`],
		["Moved", r.flips ? `${some(r.flips, "time", "times")}, from ${date(r.first_flip)} to ${date(r.last_flip)}` : "nobody yet"],
		["Led back", some(r.returns, "time", "times")],
		["Logins that waited", h.count ? `${count(h.count)}; half up to ${span(h.p50_ms)}, 95 % up to ${span(h.p95_ms)}, at most ${span(h.max_ms)}` : "none"],
		["Not copied", `${some(r.exceptions, "message", "messages")} of ${some(r.users_with_exceptions, "user", "users")}`],
	].map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v))));
}

function reportPanel(r) {
	return panel("Report", figures(r),
		el("h3", {}, "Cutovers that were undone"),
		table([{ title: "Why", class: "grow", cell: (u) => u.why }, { title: "Times", number: true, cell: (u) => count(u.count) }], r.undos, "None.", "Cutovers that were undone"),
		el("h3", {}, "Clients that lost their session to the move"),
		table([
			{ title: "Client", class: "grow", cell: (c) => c.client || "(did not say)" },
			{ title: "Sessions", number: true, cell: (c) => count(c.drops) },
			{ title: "Came back", number: true, cell: (c) => count(c.count) },
			{ title: "Half after", number: true, cell: (c) => (c.count ? span(c.p50_ms) : "–") },
			{ title: "95 % after", number: true, cell: (c) => (c.count ? span(c.p95_ms) : "–") },
		], r.clients, "None.", "Clients that lost their session"),
		el("h3", {}, "Checks that were let pass"),
		waiverTable(r.waivers, true),
		el("p", { class: "buttons" }, button("Save as JSON", () => save(`report-${r.wave}.json`, JSON.stringify(r, null, 1))), button("Print", () => print())));
}

export function wave(params, name) {
	return {
		title: `Wave ${name}`,
		head: [el("p", { class: "crumbs" }, el("a", { href: "#/waves" }, "Waves")), el("h1", {}, `Wave ${name || "(none)"}`)],
		load: async (signal) => {
			const of = `?wave=${encodeURIComponent(name)}`;
			const [status, told, report, pulls] = await Promise.all([ask("/v1/status", null, signal),
				ask(`/v1/waves${of}`, null, signal), ask(`/v1/report${of}`, null, signal), pullsOf(name, signal)]);

			return { sums: status.waves.find((w) => w.wave === name), plan: told.waves[0], report, pulls };
		},
		body: (d) => [d.sums && waveActions(d.sums, d.plan, [
			[onNew(d.sums.states) < d.sums.users, "Let a check pass", () => letWavePass(name)], ...opensrsActions(d.sums)]),
			d.plan?.timetable && el("p", { class: "note" }, timetableText(d.plan.timetable)),
			d.sums && statesOf(d.sums),
			el("p", {}, el("a", { href: `#/users${query({ wave: name })}` }, "Its users")),
			pullPanel(name, d.plan?.pull, d.pulls), reportPanel(d.report)],
	};
}
