/* What a person lets pass: a check of the gate for a user or a wave, messages that could not be copied. */
import { allowed, named, post } from "./actions.js";
import { ask } from "./api.js";
import { askFirst, toast } from "./dialog.js";
import { el, table } from "./dom.js";
import { count, date, some } from "./format.js";

/* As long as the API takes them, in bytes. */
const WHY = { name: "note", label: "Note", type: "area", required: true, max: 1024, hint: "who decided it, and why; it is kept with your name" };
const WHY_MESSAGES = { ...WHY, max: 500 };

/* ---- checks */

function letPass(who, check, text) {
	askFirst({
		title: `Let “${check}” pass for ${named(who)}?`,
		lines: [text, "It holds nobody of them up any more, until you take it back. A waiver is no proof: what is not as it should be stays so."],
		fields: [WHY],
		yes: "Let it pass",
		act: async (values) => {
			const told = await post("/v1/waive", { ...who, check, ...values });

			return `“${check}” is let pass for ${some(told.count, "user", "users")}.`;
		},
	});
}

function takeBack(who, check) {
	askFirst({
		title: `Take back that “${check}” is let pass for ${named(who)}?`,
		lines: ["The check counts again. Whoever does not pass it is not moved; who was moved stays."],
		yes: "Take it back",
		act: async () => {
			const told = await post("/v1/waive", { ...who, check, undo: true });

			return `“${check}” counts again for ${some(told.count, "user", "users")}.`;
		},
	});
}

/* w: what a user waits for; null: nothing can be said to it here */
export function waiverButton(user, w) {
	const who = { user: user.name };

	if (w.waived_for === "wave")
		return el("a", { href: `#/wave/${encodeURIComponent(user.wave)}` }, `for all of wave ${user.wave || "(none)"}: take it back there`);
	if (w.waived_for === "user")
		return allowed("Take back", () => takeBack(who, w.name), { class: "small", id: `waive-${w.name}`, "aria-label": `Take back: ${w.name}` });
	if (w.waivable && !w.open)
		return allowed("Let it pass", () => letPass(who, w.name, w.text), { class: "small", id: `waive-${w.name}`, "aria-label": `Let it pass: ${w.name}` });
	return null;
}

/* {check, name, is_wave, note, by, at}; undo: with a button in each row that takes it back */
export function waiverTable(list, undo) {
	return table([
		{ title: "Check", cell: (w) => w.check },
		{ title: "For", cell: (w) => (w.is_wave ? `wave ${w.name || "(none)"}` : w.name) },
		{ title: "Note", class: "grow", cell: (w) => w.note },
		{ title: "By", cell: (w) => w.by },
		{ title: "When", cell: (w) => date(w.at) },
		...(undo ? [{ title: "Undo", cell: (w) => allowed("Take back", () => takeBack(w.is_wave ? { wave: w.name } : { user: w.name }, w.check),
			{ class: "small", "aria-label": `Take back: ${w.check} for ${w.name}` }) }] : []),
	], list, "None.", "Checks that were let pass");
}

/* ---- a wave */

/* [["uids", 12, "a text"], …]: what users of a dry run wait for that may be let pass. */
function waivable(users) {
	const seen = new Map();

	for (const u of users)
		for (const w of u.waits_for.filter((c) => c.waivable))
			seen.set(w.name, { n: (seen.get(w.name)?.n ?? 0) + 1, text: w.text });
	return [...seen].sort((a, b) => b[1].n - a[1].n);
}

/* Of a wave: first it is looked at which checks hold how many up. */
export async function letWavePass(wave) {
	let dry;

	try {
		dry = await ask("/v1/cutover", { wave, dry_run: true });
	} catch (e) {
		toast("bad", e.message, e.remedy);
		return;
	}
	const checks = waivable(dry.users);

	if (!checks.length) {
		toast("good", `Nobody of ${named({ wave })} waits for a check that may be let pass${dry.more ? ", among the first that were looked at" : ""}.`);
		return;
	}
	askFirst({
		title: `Let a check pass for ${named({ wave })}?`,
		lines: [`For everybody of the wave, not only for who waits for it now${dry.more ? " (only the first are looked at)" : ""}:`,
			el("ul", {}, checks.map(([name, c]) => el("li", {}, `${name}: ${some(c.n, "user waits", "users wait")}, for instance: ${c.text}`))),
			"A waiver is no proof: what is not as it should be stays so."],
		fields: [{ name: "check", label: "Check", options: checks.map(([name, c]) => [name, `${name} (${count(c.n)})`]) }, WHY],
		yes: "Let it pass",
		act: async (values) => {
			const told = await post("/v1/waive", { wave, ...values });

			return `“${told.check}” is let pass for ${some(told.count, "user", "users")}.`;
		},
	});
}

/* ---- messages that could not be copied */

/* count: of how many it is said, where that is known: a pass may find more meanwhile, and of those nothing was shown. */
function exceptionsPass({ user, what, count }) {
	askFirst({
		title: `Let ${what} of ${user} pass?`,
		lines: ["They are not on new, and will not be. They hold the cutover up no more; a pass begins that counts anew. Where old keeps them, they can still be fetched there."],
		fields: [WHY_MESSAGES],
		yes: `Let ${what} pass`,
		danger: true,
		act: async (values) => `${some((await post("/v1/waive", { user, all: true, count, ...values })).count, "message is", "messages are")} let pass.`,
	});
}

function exceptionsCount({ user, what, count }) {
	askFirst({
		title: `Take back that ${what} of ${user} pass?`,
		lines: ["They count again, and hold the cutover up until they are copied or let pass."],
		yes: "Take it back",
		act: async () => `${some((await post("/v1/waive", { user, all: true, count, undo: true })).count, "message counts", "messages count")} again.`,
	});
}

/* more: there are others than those of the list */
export function exceptionButtons(user, list, more) {
	const waived = list.filter((x) => x.waived).length, open = list.length - waived;
	const whose = (n) => ({ user, what: more ? "all messages that could not be copied" : some(n, "message", "messages"), count: more ? undefined : n });

	return list.length > 0 && el("p", { class: "buttons" },
		open > 0 && allowed("Let all pass", () => exceptionsPass(whose(open)), { class: "small", id: "exceptions-pass" }),
		waived > 0 && allowed("Take back", () => exceptionsCount(whose(waived)), { class: "small", id: "exceptions-back", "aria-label": "Take back: messages that are let pass" }));
}
