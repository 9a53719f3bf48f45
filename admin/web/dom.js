/*
 * Elements out of plain data. Names, notes and servers' words are hostile input: whatever is no
 * element becomes a text node, and nothing here or elsewhere parses HTML.
 */

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
	for (const [key, value] of Object.entries(props)) {
		if (value === undefined || value === null || value === false)
			continue;
		if (key.startsWith("on"))
			node.addEventListener(key.slice(2), value);
		else
			node.setAttribute(key, value === true ? "" : value);
	}
	put(node, ...children);
	return node;
}

/* el("a", {href: "#/", onclick: f}, "text", element, [more], null) */
export function el(tag, props = {}, ...children) {
	return fill(document.createElement(tag), props, children);
}

export function svg(tag, props = {}, ...children) {
	return fill(document.createElementNS(SVG, tag), props, children);
}

/* Appends; null and undefined are nothing. */
export function put(node, ...children) {
	for (const c of children.flat(Infinity))
		if (c !== null && c !== undefined && c !== false)
			node.append(c instanceof Node ? c : document.createTextNode(String(c)));
	return node;
}

/*
 * In place of what was there. Where the keyboard is inside, it stays on the same thing: an
 * element of the same id or, among links, of the same address.
 */
export function show(node, ...children) {
	const focused = node.contains(document.activeElement) ? document.activeElement : null;
	const id = focused?.id, href = focused?.getAttribute("href");

	node.replaceChildren();
	put(node, ...children);
	if (id)
		document.getElementById(id)?.focus({ preventScroll: true });
	else if (href)
		[...node.querySelectorAll("a[href]")].find((a) => a.getAttribute("href") === href)?.focus({ preventScroll: true });
}

/* columns: [{title, number, cell(row)}]; empty: what is said when there are no rows */
export function table(columns, rows, empty, caption) {
	if (!rows.length)
		return el("p", { class: "empty" }, empty);
	return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
		el("table", {},
			el("caption", { class: "hidden" }, caption),
			el("thead", {}, el("tr", {}, columns.map((c) => el("th", { scope: "col", class: c.number && "number" }, c.title)))),
			el("tbody", {}, rows.map((r) => el("tr", {}, columns.map((c) =>
				el("td", { class: c.number ? "number" : c.class, "data-title": c.title }, el("div", {}, c.cell(r)))))))));
}

export function panel(title, ...children) {
	return el("section", { class: "panel" }, el("h2", {}, title), ...children);
}

/* Gives the browser a file to keep. */
export function save(name, text) {
	const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));

	el("a", { href: url, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export function button(text, act, props = {}) {
	return el("button", { type: "button", onclick: act, ...props }, text);
}
