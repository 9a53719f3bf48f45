/* Light, dark, or as the system has it; the choice is kept in this browser. */
import { el } from "./dom.js";

const CHOICES = [["", "As the system"], ["light", "Light"], ["dark", "Dark"]];

function wear(theme) {
	document.documentElement.dataset.theme = theme;
}

/* Private windows may keep nothing. */
function kept() {
	try {
		return localStorage.getItem("theme") ?? "";
	} catch {
		return "";
	}
}

function keep(theme) {
	try {
		localStorage.setItem("theme", theme);
	} catch {
		return;
	}
}

export function themeSwitch() {
	const now = kept();

	wear(now);
	return el("label", { class: "theme" }, el("span", { class: "hidden" }, "Colours"),
		el("select", { id: "theme", onchange: (e) => { wear(e.target.value); keep(e.target.value); } },
			CHOICES.map(([value, text]) => el("option", { value, selected: value === now }, text))));
}
