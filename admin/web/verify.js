/* A comparison of both sides of one user, message by message: asked for, followed, and what it found. */
import { post } from "./actions.js";
import { ask, query, seldom } from "./api.js";
import { askFirst } from "./dialog.js";
import { el, panel, table } from "./dom.js";
import { count, date, some, span } from "./format.js";
import { later } from "./live.js";
import { mark } from "./states.js";

const KEPT_MS = 30000; /* its document may be long; what is under way is asked for each time */
const WORKING_MS = 1500;
const ROWS = 50;
const LEVELS = [["full", "all bytes of each message"], ["headers", "headers and sizes"]];
const TONES = { perfect: "good", good: "good", investigate: "warn", poor: "bad" };

function isAtWork(v) {
	return v?.state === "waiting" || v?.state === "running";
}

export function comparison(user) {
	const last = seldom(KEPT_MS, (signal) => ask(`/v1/verify${query({ user })}`, null, signal));

	return {
		async get(signal) {
			const [v] = (await last.get(signal)).users;

			if (isAtWork(v)) {
				last.forget();
				later(WORKING_MS);
			}
			return v;
		},
		begin() {
			askFirst({
				title: `Compare both sides of ${user} now?`,
				lines: ["Every folder and message of old is looked for on new, past what the copier believes. Nothing is changed; a full comparison reads the whole mailbox from both servers."],
				fields: [{ name: "level", label: "How much", options: LEVELS }],
				yes: "Compare",
				act: async (values) => {
					await post("/v1/verify", { user, ...values });
					last.forget();
					return `Both sides of ${user} are compared as soon as a worker is free.`;
				},
			});
		},
	};
}

function result(r) {
	const found = Object.entries(r.totals.found);

	return [
		el("p", {}, mark(TONES[r.grade] ?? "plain", r.grade), ` ${some(r.totals.same, "message is", "messages are")} the same, by ${r.level === "full" ? "all bytes" : r.level}`,
			found.map(([what, n]) => `, ${count(n)} ${what}`), r.totals.moved_meanwhile && "; something moved meanwhile"),
		el("p", { class: "muted" }, `${date(r.started)}, took ${span(r.took_ms)}; ${count(r.totals.messages.old)} on old, ${count(r.totals.messages.new)} on new.`),
		r.findings.length > 0 && table([
			{ title: "What", cell: (f) => f.what },
			{ title: "Folder", class: "grow", cell: (f) => f.folder ?? "" },
			{ title: "UID on old", number: true, cell: (f) => f.old_uid ?? "–" },
			{ title: "UID on new", number: true, cell: (f) => f.new_uid ?? "–" },
		], r.findings.slice(0, ROWS), "", "What differs"),
		r.findings.length > ROWS && el("p", { class: "muted" }, `${count(ROWS)} of ${count(r.findings.length)} are shown; mailferry verify --json has all.`)];
}

export function comparisonPanel(v) {
	const r = v?.document?.report;

	return panel("Comparison of both sides",
		isAtWork(v) && el("p", {}, mark("busy", v.state), " ", v.text || "Both sides are being compared."),
		v?.state === "failed" && el("p", { class: "trouble", role: "alert" }, `It failed: ${v.text}`),
		r ? result(r) : !isAtWork(v) && v?.state !== "failed" && el("p", { class: "empty" }, "Nobody has asked for one yet."));
}
