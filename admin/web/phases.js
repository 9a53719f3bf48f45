/* The plan of each domain's move, as a checklist. */
import { phaseButton } from "./actions.js";
import { ask, query, seldom } from "./api.js";
import { el, panel, table } from "./dom.js";
import { count, date } from "./format.js";
import { mark, onNew, stateBar } from "./states.js";

const PLAN_MS = 15000;
const TONES = { done: "good", warns: "warn", blocks: "bad", "not yet": "plain" };
const COUNTS = [["Done", "done"], ["Warns", "warns"], ["Blocks", "blocks"], ["Not yet", "not_yet"]];

function users(states) {
	return Object.values(states).reduce((n, v) => n + v, 0);
}

export function mx(m) {
	if (!m)
		return el("span", { class: "muted" }, "not looked at");
	return m.on_new ? [mark("good", "new"), ` since ${date(m.since)}`] : mark("plain", "old");
}

/* The engine reads every user for a list of domains: not each time that something happens. */
export function phases() {
	return {
		title: "Phases",
		every_ms: 60000,
		head: [el("h1", {}, "Phases")],
		load: (signal) => ask("/v1/domains?limit=1000", null, signal),
		body: (d) => [el("section", { class: "panel" }, table([
			{ title: "Domain", class: "name", cell: (r) => el("a", { href: `#/phases/${encodeURIComponent(r.domain)}` }, r.domain) },
			{ title: "Progress", class: "grow", cell: (r) => stateBar(r.states) },
			{ title: "On new", number: true, cell: (r) => `${count(onNew(r.states))} of ${count(users(r.states))}` },
			{ title: "MX", cell: (r) => mx(r.mx) },
		], d.domains.filter((r) => r.domain), "No user of a domain is imported yet.", "Domains"),
		d.more && el("p", { class: "muted" }, "There are more; mailferry domains lists all."))],
	};
}

function item(domain, i, done) {
	return el("li", {},
		el("div", { class: "what" }, mark(TONES[i.state], i.state), " ", el("strong", {}, i.what), i.required ? "" : el("span", { class: "muted" }, " advised")),
		el("p", { class: "muted" }, i.text),
		i.state !== "done" && !i.by_person && i.remedy && el("p", { class: "remedy" }, i.remedy),
		phaseButton(domain, i, done));
}

function history(rows) {
	return panel("Words given", table([
		{ title: "When", cell: (h) => date(h.at) },
		{ title: "Item", cell: (h) => h.item },
		{ title: "What", cell: (h) => (h.done ? "done" : "taken back") },
		{ title: "By", cell: (h) => h.by },
		{ title: "Note", class: "grow", cell: (h) => h.note },
	], rows.toReversed(), "Nobody has vouched for anything yet.", "Words given"));
}

/* The engine reads each user of the domain for it. */
export function phase(params, domain) {
	const plan = seldom(PLAN_MS, (signal) => ask(`/v1/phases${query({ domain })}`, null, signal));

	return {
		title: `Plan of ${domain}`,
		head: [el("p", { class: "crumbs" }, el("a", { href: "#/phases" }, "Phases")), el("h1", {}, domain)],
		load: (signal) => plan.get(signal),
		body: (d) => [el("p", { class: "summary" }, COUNTS.map(([title, key], n) => [n ? ", " : "", `${count(d.counts[key])} ${title.toLowerCase()}`])),
			d.phases.map((title, n) => panel(`Phase ${n + 1}: ${title}`, el("ul", { class: "checks plan" },
				d.items.filter((i) => i.phase === n + 1).map((i) => item(domain, i, plan.forget))))),
			history(d.history)],
	};
}
