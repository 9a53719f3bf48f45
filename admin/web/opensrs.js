/* What OpenSRS does for a wave: its accounts, and its own migration tool. Shown where the settings make it possible. */
import { allowed, post } from "./actions.js";
import { ask, query } from "./api.js";
import { askFirst, toast } from "./dialog.js";
import { bytes, count, some } from "./format.js";
import { el, panel, table } from "./dom.js";
import { userLink } from "./overview.js";
import { mark, onNew, progressBar } from "./states.js";

const LOOK_MS = 500;
const ROWS = 100;
const TONES = { waiting: "busy", running: "busy", done: "good", failed: "warn", stuck: "bad" };

let can = { provision: false, pull: false };

/* As GET /v1 says it. */
export function opensrsOffers(what) {
	can = what;
}

/* ---- accounts */

async function run(wave, dry_run) {
	const { run: mine } = await post("/v1/provision", { wave, dry_run });

	for (;;) {
		const told = await ask("/v1/provision");

		if (told.run !== mine)
			throw new Error("another run of provision has begun");
		if (!told.running)
			return told;
		await new Promise((done) => setTimeout(done, LOOK_MS));
	}
}

function tally(items) {
	const n = (test) => items.filter((i) => test(i.what)).length;

	return { made: n((w) => w.startsWith("create")), changed: n((w) => w.startsWith("change")), same: n((w) => w === "same"), failed: n((w) => w === "failed") };
}

function itemsList(items) {
	const differ = items.filter((i) => i.what !== "same");

	return differ.length > 0 && el("ul", { class: "long" }, differ.slice(0, ROWS).map((i) =>
		el("li", {}, i.name && `${i.name}: ${i.what}${i.text && ": "}`, i.text)),
	differ.length > ROWS && el("li", {}, `… ${count(differ.length)} in all`));
}

function told(t, done) {
	return `${count(t.made)} ${done ? "made" : "to make"}, ${count(t.changed)} ${done ? "changed" : "to change"}, ${count(t.same)} as the list says, ${count(t.failed)} failed`;
}

function change(wave, seen) {
	const t = tally(seen.items);

	askFirst({
		title: `Provision wave ${wave || "(none)"}?`,
		lines: [`On OpenSRS: ${told(t, false)}.`, itemsList(seen.items), seen.error && `The look ended early: ${seen.error}`].filter(Boolean),
		yes: `Make ${count(t.made)}, change ${count(t.changed)}`,
		act: async () => {
			const end = await run(wave, false), did = tally(end.items);

			if (end.error || did.failed)
				throw new Error(`${told(did, true)}${end.error && `; ${end.error}`}. ${end.items.filter((i) => i.what === "failed").slice(0, 3).map((i) => `${i.name}: ${i.text}`).join("; ")}`);
			return `On OpenSRS: ${told(did, true)}.`;
		},
	});
}

/* First it is only looked at what differs. */
async function provision(wave, users) {
	toast("good", `Looks at the accounts of ${some(users, "user", "users")} on OpenSRS …`);
	try {
		const seen = await run(wave, true), t = tally(seen.items);

		if (t.made + t.changed)
			change(wave, seen);
		else
			toast(seen.error || t.failed ? "bad" : "good", `Nothing to change: ${told(t, false)}.`,
				seen.error || seen.items.filter((i) => i.what === "failed").slice(0, 3).map((i) => `${i.name}: ${i.text}`).join("; "));
	} catch (e) {
		toast("bad", e.message, e.remedy);
	}
}

/* ---- its own tool */

function counted(users, result) {
	return users.filter((u) => u.result === result);
}

async function pull(wave) {
	let dry;

	try {
		dry = (await ask("/v1/pull", { wave, dry_run: true })).users;
	} catch (e) {
		toast("bad", e.message, e.remedy);
		return;
	}
	const ready = counted(dry, "would wait"), open = counted(dry, "open"), refused = counted(dry, "refused");
	const reasons = refused.length > 0 && el("ul", {}, refused.slice(0, 5).map((u) => el("li", {}, `${u.user}: ${u.text}`)),
		refused.length > 5 && el("li", {}, `… ${count(refused.length)} in all`));

	if (!ready.length) {
		toast("bad", `There is nobody to pull: ${count(open.length)} asked for before, ${count(refused.length)} refused.`, refused[0]?.text);
		return;
	}
	askFirst({
		title: `Pull wave ${wave || "(none)"} by OpenSRS's tool?`,
		lines: [`OpenSRS is given the old password of ${some(ready.length, "user", "users")} and fetches the mail; until it is through, no pass and no cutover of them begins. ${count(open.length)} asked for before, ${count(refused.length)} refused.`,
			reasons, "Their UIDs will be plain: where the gate wants more, the check uids has to be let pass."].filter(Boolean),
		yes: `Pull ${some(ready.length, "user", "users")}`,
		act: async () => `${some(counted((await post("/v1/pull", { wave })).users, "waits").length, "user waits", "users wait")} for OpenSRS's tool.`,
	});
}

async function undone(body) {
	const { users } = await post("/v1/pull", { ...body, undo: true });
	const gone = counted(users, "undone"), [refused] = counted(users, "refused");

	if (!gone.length && refused)
		throw new Error(`${refused.user}: ${refused.text}`);
	return `${some(gone.length, "user is", "users are")} not waited for any more.`;
}

function undoPull(wave, n) {
	askFirst({
		title: `Wait no more for OpenSRS's tool for wave ${wave || "(none)"}?`,
		lines: [`${some(n, "user who waits", "users who wait")} for a batch: our own copier does it all. Who is in a job, whether it moves or stands still, is waited for.`],
		yes: "Wait no more",
		act: () => undone({ wave }),
	});
}

/* Nobody can stop a job there, and one that stands still may move again: who is let go is of the one that is named. */
function letGo(wave, n, job) {
	askFirst({
		title: `Let users go whose job stands still, of wave ${wave || "(none)"}?`,
		lines: [`${some(n, "user", "users")} of ${job}: our own passes begin at once.`,
			"Does OpenSRS's control panel show that this job is over? If it goes on after all, both bring the mail, and users may have it twice. Left alone, it is followed on, and nothing has to be said when it moves again."],
		yes: `It is over: let ${some(n, "user", "users")} go`,
		danger: true,
		act: () => undone({ wave, stuck: true, job }),
	});
}

async function askLetGo(wave, n) {
	try {
		const { users: [first] } = await ask(`/v1/pull${query({ state: "stuck", limit: 1 })}&wave=${encodeURIComponent(wave)}`);

		if (first)
			letGo(wave, n, first.job);
		else
			toast("good", "No job stands still any more.");
	} catch (e) {
		toast("bad", e.message, e.remedy);
	}
}

/* ---- on a wave's page */

/* For the bar of its actions. */
export function opensrsActions(sums) {
	const left = sums.users - onNew(sums.states);

	return [
		[can.provision, "Provision", () => provision(sums.wave, sums.users)],
		[can.pull && left > 0, "Pull by OpenSRS", () => pull(sums.wave)],
	];
}

export async function pullsOf(wave, signal) {
	return can.pull ? ask(`/v1/pull${query({ limit: ROWS })}&wave=${encodeURIComponent(wave)}`, null, signal) : { users: [], more: false };
}

export function pullPanel(wave, counts, pulls) {
	const waits = counts?.waiting ?? 0, stuck = counts?.stuck ?? 0;

	return pulls.users.length > 0 && panel("OpenSRS's tool",
		counts && el("p", {}, Object.entries(counts).filter(([, n]) => n).map(([state, n]) => [mark(TONES[state], `${count(n)} ${state}`), " "])),
		table([
			{ title: "User", class: "name", cell: (u) => userLink(u.user) },
			{ title: "State", cell: (u) => mark(TONES[u.state], u.state) },
			{ title: "Messages", cell: (u) => (u.total ? progressBar(u.migrated + u.skipped, u.total, `messages of ${u.user}`) : "") },
			{ title: "Pulled", number: true, cell: (u) => count(u.migrated) },
			{ title: "Skipped", number: true, cell: (u) => count(u.skipped) },
			{ title: "Failed", number: true, cell: (u) => count(u.failed) },
			{ title: "Size", number: true, cell: (u) => bytes(u.bytes) },
			{ title: "Remark", class: "grow", cell: (u) => [u.folder, u.folder && u.text && ": ", u.text] },
		], pulls.users, "", "Users of OpenSRS's tool"),
		pulls.more && el("p", { class: "muted" }, `The first ${count(ROWS)} are shown; mailferry pull --wave follows all.`),
		waits + stuck > 0 && el("p", { class: "buttons" },
			waits > 0 && allowed("Wait no more", () => undoPull(wave, waits), { class: "small", id: "pull-undo" }),
			stuck > 0 && allowed("Let go who stands still", () => askLetGo(wave, stuck), { class: "small danger", id: "pull-let-go" })));
}
