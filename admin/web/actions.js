/* What an operator may do with a user or a wave: named, counted and asked before it is done. */
import { ask } from "./api.js";
import { askFirst, toast } from "./dialog.js";
import { button, el } from "./dom.js";
import { count, some } from "./format.js";
import { soon } from "./live.js";
import { onNew } from "./states.js";

export const NOTE = { name: "note", label: "Note", hint: "goes into the history", max: 200 };
const WHEN = [
	{ name: "at", label: "Not before", type: "datetime-local", hint: "empty: at once" },
	{ name: "rate", label: "Users a minute", type: "number", hint: "empty: as many as there are slots" },
	{ name: "first_hour", label: "Most users in their first hour on new", type: "number", hint: "empty: no limit" },
	{ name: "quiet_s", label: "Only users whose clients were quiet for so many seconds", type: "number", hint: "5 to 86400; empty: not asked" },
];

let operate = false;

export function mayOperate(yes) {
	operate = yes;
}

/* who: {user} or {wave}, for the API and in words. */
export function named(who) {
	return who.user ?? `wave ${who.wave === "" ? "(none)" : who.wave}`;
}

export async function post(path, body) {
	const told = await ask(path, body);

	soon(0);
	return told;
}

function asNumbers(values) {
	const out = { ...values };

	for (const f of WHEN)
		if (f.type === "number" && out[f.name])
			out[f.name] = Number(out[f.name]);
	if (out.at)
		out.at = new Date(out.at).toISOString().replace(/\.\d+Z$/, "Z");
	return out;
}

/* ---- cutover */

/* [["pass", 12], …]: what users of a dry run wait for. */
function reasons(users) {
	const seen = new Map();

	for (const u of users)
		for (const w of u.waits_for)
			seen.set(w.name, (seen.get(w.name) ?? 0) + 1);
	return [...seen].sort((a, b) => b[1] - a[1]);
}

function preview(dry) {
	const waiting = dry.users.filter((u) => u.waits_for.length);

	return [
		`${some(dry.users.length, "user is", "users are")} still to move${dry.more ? " (only the first are looked at)" : ""}; ` +
		`${count(dry.users.length - waiting.length)} could begin at once, ${count(waiting.length)} wait for something first.`,
		waiting.length > 0 && el("ul", {}, reasons(waiting).slice(0, 8).map(([name, n]) => el("li", {}, `${name}: ${some(n, "user", "users")}`))),
	].filter(Boolean);
}

async function cutover(who) {
	let dry;

	try {
		dry = await ask("/v1/cutover", { ...who, dry_run: true });
	} catch (e) {
		toast("bad", e.message, e.remedy);
		return;
	}
	askFirst({
		title: `Cut over ${named(who)}?`,
		lines: [...preview(dry), "For each of them logins wait for some seconds, the last changes are copied and compared, and live sessions come back on new. Whatever cannot be finished in time is undone."],
		fields: who.wave === undefined ? [] : WHEN,
		yes: who.user ? "Cut over" : `Cut over ${some(dry.users.length, "user", "users")}`,
		act: async (values) => {
			const told = await post("/v1/cutover", { ...who, ...asNumbers(values) });

			return `The go is given: ${told.timetable.text || named(who)}.`;
		},
	});
}

/* ---- the rest */

function withdraw(who) {
	askFirst({
		title: `Take back the go of ${named(who)}?`,
		lines: ["Nobody of them begins a cutover any more. Who is in the pause already is finished or undone by itself."],
		yes: "Take back the go",
		act: async () => `${some((await post("/v1/cutover", { ...who, go: false })).changed, "user has", "users have")} no go any more.`,
	});
}

function sync(who, facts) {
	askFirst({
		title: `Start copying for ${named(who)}?`,
		lines: [`${some(facts.users, "user", "users")}: a pass is started as soon as a worker is free, without waiting for a retry's time. Logins and sessions notice nothing.`],
		yes: "Start copying",
		act: async () => `Passes are asked for: ${some((await post("/v1/sync", who)).count, "user", "users")}.`,
	});
}

function rollback(who, facts) {
	askFirst({
		title: `Roll back ${named(who)}?`,
		lines: [
			`${some(facts.onNew, "user lives", "users live")} on new and will be led back to old.`,
			"First what has changed on new is copied back to old; then logins wait for some seconds, and sessions come back on old. Nothing is lost that was done on new.",
		],
		fields: [{ ...NOTE, required: true, hint: "why; goes into the history" }],
		yes: who.user ? "Roll back" : `Roll back ${some(facts.onNew, "user", "users")}`,
		danger: true,
		act: async (values) => {
			const told = await post("/v1/rollback", { ...who, ...values });

			return `${some(told.changed, "user is", "users are")} on the way back` +
			       (told.refused.length ? `; ${some(told.refused.length, "is", "are")} not on new.` : ".");
		},
	});
}

function stay(who) {
	askFirst({
		title: `Let ${named(who)} stay on new?`,
		lines: ["Who is on the way back stays on new after all."],
		yes: "Stay on new",
		act: async () => `${some((await post("/v1/rollback", { ...who, go: false })).changed, "user stays", "users stay")} on new.`,
	});
}

function retry(who, facts) {
	askFirst({
		title: `Try again for ${named(who)}?`,
		lines: [`${some(facts.stuck, "user is", "users are")} stuck: what failed is tried again at once.`],
		yes: "Try again",
		act: async () => `Tried again: ${some((await post("/v1/retry", who)).count, "user", "users")}.`,
	});
}

function pause(who, facts) {
	askFirst({
		title: `Pause ${named(who)}?`,
		lines: [`No cutover of its ${some(facts.users, "user", "users")} begins until it is resumed. Copying goes on.`],
		fields: [NOTE],
		yes: "Pause",
		act: async (values) => {
			await post("/v1/pause", { ...who, ...values });
			return `${named(who)} is paused.`;
		},
	});
}

function resume(who, facts) {
	askFirst({
		title: `Resume ${named(who)}?`,
		lines: [`${some(facts.go, "user has", "users have")} the go; their cutovers begin as the timetable says.`],
		yes: "Resume",
		act: async () => {
			await post("/v1/resume", who);
			return `${named(who)} goes on.`;
		},
	});
}

/* A button of what only an operator may do. */
export function allowed(text, act, props = {}) {
	return button(text, act, { disabled: !operate, title: operate ? null : "your token may only look", ...props });
}

/* rows: [[shown, text, act, danger], …] */
export function bar(rows) {
	const there = rows.filter(([shown]) => shown);

	return el("div", { class: "actions", role: "group", "aria-label": "Actions" },
		there.map(([, text, act, danger]) => allowed(text, act, { class: danger ? "danger" : "", id: `do-${text.replaceAll(" ", "-").toLowerCase()}` })),
		!operate && el("span", { class: "muted" }, "Your token may only look."));
}

/* u: a user as the API tells it; more: rows of other things that may be done */
export function userActions(u, more) {
	const who = { user: u.name }, moved = onNew({ [u.state]: 1 }), held = u.direction !== null;
	const facts = { users: 1, onNew: 1, stuck: 1 };

	return bar([
		[!moved && !held, "Start copying", () => sync(who, facts)],
		[!moved && !held && !u.go, "Cutover", () => cutover(who)],
		[!moved && u.go, "Take back the go", () => withdraw(who)],
		[u.stuck, "Try again", () => retry(who, facts)],
		[u.state === "returning" || (held && u.direction === "back"), "Stay on new", () => stay(who)],
		...more,
		[moved && u.state !== "returning", "Roll back", () => rollback(who, facts), true],
	]);
}

/* sums: of the status; wave: of /v1/waves */
export function waveActions(sums, wave, more) {
	const who = { wave: sums.wave }, moved = onNew(sums.states);
	const facts = { users: sums.users, onNew: moved - sums.states.returning, stuck: sums.stuck, go: wave?.go ?? sums.go };
	const paused = wave?.timetable?.paused;

	return bar([
		[moved < sums.users, "Start copying", () => sync(who, facts)],
		[moved < sums.users, "Cutover", () => cutover(who)],
		[facts.go > 0, "Take back the go", () => withdraw(who)],
		[!paused, "Pause", () => pause(who, facts)],
		[paused, "Resume", () => resume(who, facts)],
		[sums.stuck > 0, "Try again", () => retry(who, facts)],
		[sums.states.returning > 0, "Stay on new", () => stay(who)],
		...more,
		[facts.onNew > 0, "Roll back", () => rollback(who, facts), true],
	]);
}

/* A person's word about an item of a domain's plan; done: when it was given. */
function vouch(domain, item, done) {
	askFirst({
		title: `“${item.what}” is done for ${domain}?`,
		lines: ["Your word is kept with your name and the time."],
		fields: [{ name: "note", label: "Note", type: "area", required: true, max: 1024, hint: "who saw to it, and how" }],
		yes: "It is done",
		act: async (values) => {
			await post("/v1/phases", { domain, item: item.id, ...values });
			done();
			return `${item.id} of ${domain} is done.`;
		},
	});
}

function takeBack(domain, item, done) {
	askFirst({
		title: `Take back “${item.what}” of ${domain}?`,
		lines: ["The item is open again. Where the gate asks for the plan, that may hold the domain's users up."],
		yes: "Take it back",
		act: async () => {
			await post("/v1/phases", { domain, item: item.id, undo: true });
			done();
			return `${item.id} of ${domain} is open again.`;
		},
	});
}

export function phaseButton(domain, item, done) {
	if (!item.by_person)
		return null;
	const back = item.by !== undefined && item.state === "done";

	return allowed(back ? "Take back" : "It is done", () => (back ? takeBack : vouch)(domain, item, done),
		{ id: `item-${item.id}`, class: "small", "aria-label": `${back ? "Take back" : "It is done"}: ${item.what}` });
}
