/* Sessions that are ended, of one user or of a whole node: asked first, and told by the nodes. */
import { allowed, post } from "./actions.js";
import { ask } from "./api.js";
import { askFirst } from "./dialog.js";
import { some } from "./format.js";
import { soon } from "./live.js";

const DROP_S = 10; /* a node waits so long for a session's command to end */
const DRAIN_S = 300;
const LATE_MS = 3000; /* for a node to hear of it, and to tell what became of it */
const LOOK_MS = 300;

function sum(answers, key) {
	return answers.reduce((n, a) => n + a[key], 0);
}

function isOpen(answers, took_ms, wait_ms) {
	const silent = answers.some((a) => !a.answered), remain = sum(answers, "remain");

	return (silent && took_ms < Math.max(wait_ms, LATE_MS)) || (remain > 0 && took_ms < wait_ms);
}

/* What all nodes say to a request, once they have or wait_ms are over. */
async function answersTo(request, wait_ms) {
	const begun = Date.now();

	for (;;) {
		const { answers } = await ask(`/v1/answers?request=${request}`);

		if (!isOpen(answers, Date.now() - begun, wait_ms))
			return answers;
		await new Promise((done) => setTimeout(done, LOOK_MS));
	}
}

function became(answers) {
	const cut = sum(answers, "cut"), remain = sum(answers, "remain"), silent = answers.filter((a) => !a.answered).length;

	return `${some(sum(answers, "ended"), "session", "sessions")} ended${cut ? `, ${cut} cut` : ""}${remain ? `, ${remain} remain and end later, as soon as their commands are done` : ""}` +
		`${silent ? `; ${some(silent, "node has", "nodes have")} not answered` : ""}.`;
}

export function drop(user) {
	askFirst({
		title: `Drop the sessions of ${user}?`,
		lines: ["Each is ended with a BYE between two commands; its client comes back by itself, to the side that holds then. Nobody is moved."],
		fields: [{ name: "force", label: `Where a command is open for ${DROP_S} seconds`, options: [["", "end it as soon as its command is done"], ["yes", "cut it, whatever is open"]] }],
		yes: "Drop the sessions",
		danger: true,
		act: async ({ force }) => {
			const { request } = await post("/v1/drop", { user, force: force === "yes", seconds: DROP_S });
			const answers = await answersTo(request, 1000 * DROP_S + (force ? LATE_MS : 0));

			soon(0);
			return `${user}: ${became(answers)}`;
		},
	});
}

export function dropButton(s) {
	return allowed("Drop", () => drop(s.user), { class: "small", id: `drop-${s.node}-${s.id}`, "aria-label": `Drop the sessions of ${s.user}` });
}

/* ---- a node */

function isTaking(n) {
	return n.health === "up" && !n.leaving && !n.drain_until;
}

function drain(n, nodes) {
	const others = nodes.filter((o) => o.node !== n.node && isTaking(o)).length;

	askFirst({
		title: `Drain node ${n.node}?`,
		lines: [`It takes no clients any more. Its ${some(n.sessions, "session is", "sessions are")} ended between two commands, and cut when the time is over, whatever is open.`,
			others ? `Clients come back by ${some(others, "other node", "other nodes")}.` : "No other node takes clients: nobody can log in until this one does again."],
		fields: [{ name: "seconds", label: "Cut after so many seconds", type: "number", hint: `empty: ${DRAIN_S}` }],
		yes: `Drain ${n.node}`,
		danger: true,
		act: async ({ seconds }) => {
			await post("/v1/drain", { node: n.node, seconds: Number(seconds ?? DRAIN_S) });
			return `${n.node} takes no clients any more.`;
		},
	});
}

function takeAgain(n) {
	askFirst({
		title: `Let node ${n.node} take clients again?`,
		lines: ["What was ended comes back by itself, by whichever node it meets."],
		yes: "Take clients again",
		act: async () => {
			await post("/v1/drain", { node: n.node, undo: true });
			return `${n.node} takes clients again.`;
		},
	});
}

export function nodeButton(n, nodes) {
	if (n.health !== "up" || n.leaving)
		return null;
	const drained = n.drain_until !== null;

	return allowed(drained ? "Take clients again" : "Drain", () => (drained ? takeAgain(n) : drain(n, nodes)),
		{ class: "small", id: `node-${n.node}`, "aria-label": `${drained ? "Take clients again" : "Drain"}: ${n.node}` });
}
