/* The states of a user: their order, what they mean, and how they look. */
import { el, svg } from "./dom.js";
import { count, percent } from "./format.js";

export const STATES = ["pending", "provisioned", "syncing", "ready", "freezing", "finalizing", "trailing", "done", "returning"];
export const ON_NEW = ["trailing", "done", "returning"];

export const MEANING = {
	pending: "both logins are tried",
	provisioned: "waits for a free worker",
	syncing: "mail is copied and compared",
	ready: "in step, until the go is given",
	freezing: "logins wait, sessions come to rest",
	finalizing: "logins wait, the last changes are copied",
	trailing: "on new; stragglers are brought over",
	done: "on new; nothing is left to do",
	returning: "on new, on the way back to old",
};

export function badge(state, title) {
	return el("span", { class: `badge s-${state}`, title: title ?? MEANING[state] }, state);
}

/* For other words: tone is good, warn, bad, busy or plain. */
export function mark(tone, text) {
	return el("span", { class: `badge ${tone}` }, text);
}

/* {"pending": n, …} as one bar; what it shows is told in words too. */
export function stateBar(states) {
	const all = STATES.reduce((n, s) => n + (states[s] ?? 0), 0);
	const there = STATES.filter((s) => states[s]);
	let x = 0;

	return svg("svg", { class: "bar", viewBox: "0 0 100 4", preserveAspectRatio: "none", role: "img",
			    "aria-label": there.map((s) => `${count(states[s])} ${s}`).join(", ") || "nobody" },
		there.map((s) => {
			const width = (100 * states[s]) / all, at = x;

			x += width;
			return svg("rect", { class: `s-${s}`, x: at, y: 0, width, height: 4 },
				svg("title", {}, `${s}: ${count(states[s])}`));
		}));
}

export function progressBar(done, all, label) {
	return el("span", { class: "progress" }, el("progress", { max: all || 1, value: Math.min(done, all || 1), "aria-label": label }),
		el("span", {}, percent(done, all)));
}

export function onNew(states) {
	return ON_NEW.reduce((n, s) => n + (states[s] ?? 0), 0);
}
