/* Who is connected, in pages. */
import { ask, query } from "./api.js";
import { button, el, table } from "./dom.js";
import { dropButton } from "./drops.js";
import { bytes, count, date } from "./format.js";
import { userLink } from "./overview.js";

const PAGE = 100;

const COLUMNS = [
	{ title: "Protocol", cell: (s) => s.proto.toUpperCase() },
	{ title: "Side", cell: (s) => s.side ?? "–" },
	{ title: "State", cell: (s) => s.state },
	{ title: "Open", cell: (s) => s.doing },
	{ title: "Client", cell: (s) => s.client },
	{ title: "From", cell: (s) => s.peer },
	{ title: "Since", cell: (s) => date(s.since) },
	{ title: "Up", number: true, cell: (s) => bytes(s.bytes_up) },
	{ title: "Down", number: true, cell: (s) => bytes(s.bytes_down) },
	{ title: "Node", cell: (s) => s.node },
];

/* Of one user, or with the users' names. */
export function sessionTable(list, named) {
	const user = { title: "User", class: "name", cell: (s) => userLink(s.user) };

	const end = { title: "End", cell: dropButton };

	return table(named ? [user, ...COLUMNS, end] : COLUMNS, list, "Nobody is connected.", "Sessions");
}

export function sessions(params) {
	const f = { proto: params.get("proto") ?? "", side: params.get("side") ?? "", after: params.get("after") ?? "" };
	const link = (change, text) => {
		const to = { ...f, ...change, after: "" };

		return el("a", { href: `#/sessions${query(to)}`, "aria-current": Object.entries(change).every(([k, v]) => f[k] === v) && "true" }, text);
	};

	return {
		title: "Sessions",
		head: [el("h1", {}, "Sessions"),
			el("nav", { class: "choices", "aria-label": "Side" }, link({ side: "" }, "both sides"), link({ side: "old" }, "old"), link({ side: "new" }, "new")),
			el("nav", { class: "choices", "aria-label": "Protocol" }, link({ proto: "" }, "both protocols"), link({ proto: "imap" }, "IMAP"), link({ proto: "pop3" }, "POP3"))],
		load: (signal) => ask(`/v1/sessions${query({ ...f, limit: PAGE })}`, null, signal),
		body: (d) => [el("section", { class: "panel" }, sessionTable(d.sessions, true)),
		el("p", { class: "pager" },
			f.after && button("First page", () => { location.hash = `#/sessions${query({ ...f, after: "" })}`; }),
			d.next && button("Next page", () => { location.hash = `#/sessions${query({ ...f, after: d.next })}`; }, { class: "primary" }),
			el("span", { class: "muted" }, `${count(d.sessions.length)} shown${d.more ? ", there are more" : ""}`))],
	};
}
