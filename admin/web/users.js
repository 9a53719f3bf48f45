/* The list of users, in pages; the engine filters. */
import { ask, query } from "./api.js";
import { button, el, table } from "./dom.js";
import { count, percent, span } from "./format.js";
import { userLink, waveLink } from "./overview.js";
import { badge, mark, STATES } from "./states.js";

const PAGE = 100;
const TYPING_MS = 300;
const ONLY = [["", "everybody"], ["stuck", "who is stuck"], ["failing", "whose last try failed"], ["exceptions", "with messages not copied"], ["go", "who has the go"]];

function go(params) {
	location.hash = `#/users${query(params)}`;
}

function choice(id, label, value, options) {
	return el("p", { class: "field" }, el("label", { for: id }, label),
		el("select", { id, name: id }, options.map(([v, text]) => el("option", { value: v, selected: v === value }, text))));
}

/* Any change leads to the first page. */
function filters(f) {
	let typing = 0;
	const form = el("form", { class: "filters", role: "search" },
		el("p", { class: "field grow" }, el("label", { for: "q" }, "Name contains"),
			el("input", { id: "q", name: "q", type: "search", value: f.q, maxlength: 200, autocomplete: "off", spellcheck: "false" })),
		choice("state", "State", f.state, [["", "any"], ...STATES.map((s) => [s, s])]),
		el("p", { class: "field" }, el("label", { for: "wave" }, "Wave"),
			el("input", { id: "wave", name: "wave", value: f.wave, maxlength: 200, autocomplete: "off" })),
		choice("only", "Only", f.only, ONLY));
	const apply = () => go(Object.fromEntries([...new FormData(form)].map(([k, v]) => [k, v.trim()])));

	form.addEventListener("submit", (e) => e.preventDefault());
	form.addEventListener("input", () => {
		clearTimeout(typing);
		typing = setTimeout(apply, TYPING_MS);
	});
	return form;
}

function trouble(u) {
	if (u.stuck)
		return [mark("bad", "stuck"), " ", u.stuck];
	if (u.progress.error)
		return [mark("warn", "failed"), " ", u.progress.error];
	return u.progress.exceptions ? mark("warn", `${count(u.progress.exceptions)} not copied`) : "";
}

function list(users, now) {
	return table([
		{ title: "User", class: "name", cell: (u) => userLink(u.name) },
		{ title: "State", cell: (u) => [badge(u.state), u.go && " ", u.go && mark("busy", "go")] },
		{ title: "Wave", cell: (u) => waveLink(u.wave) },
		{ title: "Side", cell: (u) => (u.route === "hold" ? "waits" : u.side) },
		{ title: "Messages", number: true, cell: (u) => count(u.progress.messages) },
		{ title: "Compared", number: true, cell: (u) => percent(u.progress.verified, u.progress.messages) },
		{ title: "Since", number: true, cell: (u) => span(now - u.state_since) },
		{ title: "Trouble", class: "grow line", cell: trouble },
	], users, "No user is like that.", "Users");
}

function pager(f, d) {
	const last = d.users.at(-1);

	return el("p", { class: "pager" },
		f.after && button("First page", () => go({ ...f, after: "" }), { id: "first-page" }),
		f.after && button("Back", () => history.back(), { id: "page-back" }),
		d.more && last && button("Next page", () => go({ ...f, after: last.name }), { id: "next-page", class: "primary" }),
		el("span", { class: "muted" }, `${count(d.users.length)} shown${d.more ? ", there are more" : ""}`));
}

export function users(params) {
	const f = Object.fromEntries(["q", "state", "wave", "only", "after"].map((k) => [k, params.get(k) ?? ""]));

	return {
		title: "Users",
		stays: "users", /* who types in the filter goes on doing so while the list changes */
		head: [el("h1", {}, "Users"), filters(f)],
		load: (signal) => ask(`/v1/users${query({ ...f, limit: PAGE })}`, null, signal),
		body: (d) => [el("section", { class: "panel" }, list(d.users, Date.now())), pager(f, d)],
	};
}
