/* Questions before something is done, and what came of it. */
import { el, button, show } from "./dom.js";
import { count } from "./format.js";

const TOAST_MS = 8000;

export function toast(tone, text, remedy) {
	const box = el("div", { class: `toast ${tone}` }, el("p", {}, text), remedy && el("p", { class: "muted" }, remedy),
		button("Close", () => box.remove()));

	document.getElementById("toasts").append(box);
	if (tone !== "bad")
		setTimeout(() => box.remove(), TOAST_MS);
}

function input(f, props) {
	if (f.options)
		return el("select", props, f.options.map(([value, text]) => el("option", { value }, text)));
	if (f.type === "area")
		return el("textarea", { ...props, rows: 3 });
	return el("input", { ...props, type: f.type ?? "text", autocomplete: "off" });
}

/* The engine counts bytes; a letter may be several of them. */
function keepWithin(max) {
	return ({ target }) => target.setCustomValidity(new TextEncoder().encode(target.value).length > max ? `At most ${count(max)} bytes, and letters like é are two.` : "");
}

/* fields: [{name, label, type, hint, required, max, options: [[value, text], …]}]; max: bytes of a text */
function control(f) {
	const hint = [f.hint, f.max && `at most ${count(f.max)} bytes`].filter(Boolean).join("; ");
	const props = { id: `f-${f.name}`, name: f.name, required: f.required, oninput: f.max && keepWithin(f.max),
			"aria-describedby": hint && `h-${f.name}` };

	if (f.type === "number")
		Object.assign(props, { min: 1, step: 1 });
	return el("p", { class: "field" }, el("label", { for: props.id }, f.label), input(f, props),
		hint && el("small", { id: `h-${f.name}` }, hint));
}

/*
 * title; lines: what will be done, said before; fields; yes: the button's text, danger: it looks
 * so; act(values): does it, and returns the sentence to show. Nothing is done but by the button.
 */
export function askFirst({ title, lines, fields = [], yes, danger, act }) {
	const trouble = el("p", { class: "trouble", role: "alert" });
	const go = el("button", { type: "submit", class: danger ? "danger" : "primary" }, yes);
	const cancel = button("Cancel", () => box.close(), { autofocus: true });
	const form = el("form", {}, el("h2", { id: "dialog-title" }, title), lines.map((l) => (l instanceof Node ? l : el("p", {}, l))),
		fields.map(control), trouble, el("p", { class: "buttons" }, cancel, go));
	const box = el("dialog", { "aria-labelledby": "dialog-title", onclose: () => box.remove() }, form);

	form.addEventListener("submit", async (e) => {
		e.preventDefault();
		go.disabled = true;
		show(trouble);
		try {
			const values = Object.fromEntries([...new FormData(form)].filter(([, v]) => v !== ""));

			toast("good", await act(values));
			box.close();
		} catch (err) {
			show(trouble, err.message, err.remedy ? `; ${err.remedy}` : "");
			go.disabled = false;
		}
	});
	document.body.append(box);
	box.showModal();
}
