/* The final report of the move: how it is made, what it says, and the way to the waves' own. */
import { bar, post } from "./actions.js";
import { ask, askWhole, seldom } from "./api.js";
import { askFirst } from "./dialog.js";
import { button, el, panel, save, table } from "./dom.js";
import { bytes, count, date, percent, some, span } from "./format.js";
import { later } from "./live.js";
import { userLink, waveLink } from "./overview.js";
import { mx } from "./phases.js";
import { onNew, progressBar } from "./states.js";
import { waiverTable } from "./waivers.js";

const ROWS = 100; /* shown of one list; the saved document has all */
const STATUS_MS = 15000; /* sums over everybody */
const MAKING_MS = 1000;

/* ---- making it */

function make(users, again) {
	askFirst({
		title: again ? "Make the final report anew?" : "Make the final report?",
		lines: [`The whole past of ${some(users, "user", "users")} is read and summed up, and the sum is signed. Sessions, logins and copying notice nothing.`,
			"It is no picture of one moment: make it when nothing moves any more.",
			again && "The one before is kept until this one is signed, and no longer: save it first if it is wanted."].filter(Boolean),
		yes: "Make the report",
		act: async () => {
			await post("/v1/report/final", {});
			return "The final report is being made.";
		},
	});
}

function standing(f, users) {
	if (f.state === "making")
		return el("p", { class: "note" }, `Being made: ${some(f.users, "user is", "users are")} looked at so far.`, progressBar(f.users, users, "users looked at"));
	if (f.state === "failed")
		return el("p", { class: "trouble", role: "alert" }, `It could not be made: ${f.text}`);
	return f.made ? null : el("p", { class: "empty" }, "No final report was made since the engine was started.");
}

/* ---- what it says */

function facts(rows) {
	return el("dl", { class: "facts" }, rows.map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v))));
}

function summary({ report: r, signature }) {
	const t = r.total, h = t.holds;

	return panel("The whole move", facts([
		["Made", `${date(r.made)}, took ${span(r.took_ms)}`],
		["Users on new", `${count(onNew(t.states))} of ${count(t.users)}`],
		["Moved", t.flips ? `${some(t.flips, "time", "times")}, from ${date(t.first_flip)} to ${date(t.last_flip)}` : "nobody"],
		["Undone, moved back", `${some(t.undone, "cutover or rollback was", "cutovers and rollbacks were")} undone; ${some(t.rollbacks, "rollback", "rollbacks")} begun, ${some(t.returns, "move", "moves")} back to old`],
		["Messages", `${count(t.messages)}, ${bytes(t.bytes)}; ${count(t.copied)} copied, ${count(t.verified)} (${percent(t.verified, t.messages)}) compared by the copier`],
		["Logins that waited", h.count ? `${count(h.count)}; half up to ${span(h.p50_ms)}, 95 % up to ${span(h.p95_ms)}, at most ${span(h.max_ms)}` : "none"],
		["Failed logins", `${count(t.logins.new.failed)} of ${count(t.logins.new.asked)} on new, ${count(t.logins.old.failed)} of ${count(t.logins.old.asked)} on old`],
		["Verified", [...Object.entries(t.grades).map(([grade, n]) => `${count(n)} ${grade}`), `${count(t.not_verified)} not`].join(", ")],
		["Not copied", `${some(r.exceptions.messages, "message", "messages")}, ${count(r.exceptions.waived)} of them waived`],
		["Signed", `by ${signature.algorithm} with the key ${signature.key}`],
	]), r.cut && el("p", { class: "note" }, "There is more of some lists than the document has room for."));
}

function wavesPanel(r) {
	return panel("Waves", table([
		{ title: "Wave", cell: (w) => (w.wave === undefined ? el("strong", {}, "all") : waveLink(w.wave)) },
		{ title: "Users", number: true, cell: (w) => count(w.users) },
		{ title: "On new", number: true, cell: (w) => count(onNew(w.states)) },
		{ title: "First moved", cell: (w) => date(w.first_flip) },
		{ title: "Last", cell: (w) => date(w.last_flip) },
		{ title: "Undone", number: true, cell: (w) => count(w.undone) },
		{ title: "Moved back", number: true, cell: (w) => count(w.returns) },
		{ title: "Waited", number: true, cell: (w) => count(w.holds.count) },
		{ title: "95 %", number: true, cell: (w) => (w.holds.count ? span(w.holds.p95_ms) : "–") },
		{ title: "Failed logins", number: true, cell: (w) => count(w.logins.new.failed) },
		{ title: "Not copied", number: true, cell: (w) => count(w.exceptions) },
		{ title: "Not verified", number: true, cell: (w) => count(w.not_verified) },
	], r.waves.length > 1 ? [...r.waves, r.total] : r.waves, "There are no users.", "Waves of the final report"));
}

/* Nothing of an empty list. The document may be cut itself, as its summary says. */
function list(title, rows, columns) {
	return rows.length > 0 && panel(title, table(columns, rows.slice(0, ROWS), "", title),
		rows.length > ROWS && el("p", { class: "muted" }, `The first ${count(ROWS)} are shown of the ${count(rows.length)} in the saved document.`));
}

const whose = { title: "User", class: "name", cell: (r) => userLink(r.user) };
const messages = [{ title: "Messages", number: true, cell: (r) => count(r.messages) }, { title: "Of them waived", number: true, cell: (r) => count(r.waived) }];

function pages({ report: r, signature }) {
	const x = r.exceptions;

	return [summary({ report: r, signature }), wavesPanel(r),
		list("Cutovers that were undone", r.undone, [{ title: "Why", class: "grow", cell: (u) => u.why }, { title: "Times", number: true, cell: (u) => count(u.count) }]),
		list("Messages that could not be copied", x.kinds, [{ title: "Kind", class: "grow", cell: (k) => k.kind }, ...messages]),
		list("Whose they are", x.users, [whose, ...messages]),
		list("Not known, because the journal could not be read", x.unread, [whose, { title: "Why", class: "grow", cell: (u) => u.why }]),
		list("Compared, and to be looked at", r.verify.doubtful, [whose, { title: "Grade", class: "grow", cell: (u) => u.grade }]),
		list("Not compared", r.verify.not_verified, [{ title: "User", class: "name", cell: userLink }]),
		list("Domains", r.domains, [{ title: "Domain", class: "name", cell: (d) => d.domain || "(none)" }, { title: "Trailing", number: true, cell: (d) => count(d.states.trailing) },
			{ title: "Done", number: true, cell: (d) => count(d.states.done) }, { title: "MX", class: "grow", cell: (d) => mx(d.mx) }]),
		list("Changed on old past the proxy", r.strays, [whose, { title: "Changes", number: true, cell: (s) => count(s.changes) }, { title: "Last", cell: (s) => date(s.last) }]),
		list("Logged in, and never imported", r.strangers, [{ title: "Name", class: "name", cell: (s) => s.name }, { title: "Logins", number: true, cell: (s) => count(s.logins) },
			{ title: "First", cell: (s) => date(s.first_seen) }, { title: "Last", cell: (s) => date(s.last_seen) }]),
		r.waivers.length > 0 && panel("Waivers", waiverTable(r.waivers.slice(0, ROWS))),
		list("What persons vouched for", r.acknowledgements, [{ title: "Domain", class: "name", cell: (a) => a.domain }, { title: "Item", cell: (a) => a.item },
			{ title: "What", cell: (a) => (a.done ? "done" : "taken back") }, { title: "By", cell: (a) => a.by }, { title: "When", cell: (a) => date(a.at) },
			{ title: "Note", class: "grow", cell: (a) => a.note }])];
}

/* ---- the view */

function ofWaves(waves) {
	return panel("Of each wave", waves.length ? el("p", { class: "choices" }, waves.map((w) => waveLink(w.wave)))
		: el("p", { class: "empty" }, "No users yet: mailferry import FILE brings them in."));
}

export function reports() {
	const status = seldom(STATUS_MS, (signal) => ask("/v1/status", null, signal));
	let kept = null, keptMade = 0; /* {text, told}, as it was served; when it was made */

	return {
		title: "Reports",
		head: [el("h1", {}, "Reports")],
		load: async (signal) => {
			const [final, { users, waves }] = await Promise.all([ask("/v1/report/final?part=state", null, signal), status.get(signal)]);

			if (final.made && final.made !== keptMade) {
				kept = await askWhole("/v1/report/final?part=document", null, signal);
				keptMade = kept.told.report.made;
			}
			if (final.state === "making")
				later(MAKING_MS);
			return { final, users: users.users, waves: waves.map((w) => ({ wave: w.wave })) };
		},
		body: (d) => [el("div", { class: "actions" },
			bar([[d.final.state !== "making", keptMade ? "Make it anew" : "Make the final report", () => make(d.users, keptMade)]]),
			keptMade > 0 && [button("Save as JSON", () => save("report-final.json", kept.text)), button("Print", () => print())]),
		standing(d.final, d.users), ofWaves(d.waves), keptMade > 0 && pages(kept.told)],
	};
}
