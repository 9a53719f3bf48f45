/* The frame: who looks, which view is shown, and whether the engine still answers. */
import { mayOperate } from "./actions.js";
import { ask, keepToken, Refused, token } from "./api.js";
import { button, el, show } from "./dom.js";
import { clock, span } from "./format.js";
import * as live from "./live.js";
import { opensrsOffers } from "./opensrs.js";
import { overview } from "./overview.js";
import { phase, phases } from "./phases.js";
import { reports } from "./reports.js";
import { sessions } from "./sessions.js";
import { themeSwitch } from "./theme.js";
import { user } from "./user.js";
import { users } from "./users.js";
import { wave, waves } from "./waves.js";

const STALE_MS = 30000; /* what has not changed is drawn anew so often, for its times */
const NAV = [["", "Overview"], ["users", "Users"], ["waves", "Waves"], ["phases", "Phases"], ["sessions", "Sessions"], ["reports", "Reports"]];
/* The first word of the address, without and with a name behind it. */
const VIEWS = { "": [overview], users: [users], user: [null, user], waves: [waves], wave: [null, wave], phases: [phases, phase],
		sessions: [sessions], reports: [reports] };
const PARENT = { user: "users", wave: "waves" };

const main = document.getElementById("main"), banner = document.getElementById("banner");
const head = el("div", { id: "head" }), body = el("div", { id: "body" });
const dot = el("span", { id: "dot", role: "status" });

let view = null, loading = null, drawn = "", drawnAt = 0, answeredAt = 0, lastAnswer = 0, countdown = 0;

/* ---- views */

/* "#/user/anna%40example.com?x=y" */
function place() {
	const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
	const [word, ...rest] = path.split("/");
	const params = new URLSearchParams(search);

	if (!rest.length)
		return { word, make: VIEWS[word]?.[0], params };
	try {
		return { word, make: VIEWS[word]?.[1], params, name: decodeURIComponent(rest.join("/")) };
	} catch {
		return { word };
	}
}

function nowhere() {
	return { title: "Nothing here", head: [el("h1", {}, "Nothing is at this address")], load: async () => ({}),
		 body: () => [el("p", {}, el("a", { href: "#/" }, "To the overview"))] };
}

function markNav(word) {
	for (const a of document.querySelectorAll("#nav a"))
		a.setAttribute("aria-current", a.dataset.word === (PARENT[word] ?? word) ? "page" : "false");
}

function enter() {
	const { word, make, params, name } = place();
	const before = view;

	loading?.abort();
	view = (make ?? nowhere)(params, name);
	document.title = `${view.title} – mailferry`;
	markNav(word);
	drawn = "";
	if (!before?.stays || before.stays !== view.stays || !head.contains(document.activeElement)) {
		show(head, view.head);
		show(body, el("p", { class: "empty" }, "One moment …"));
		if (before && !before.stays)
			main.focus();
		scrollTo(0, 0);
	}
	live.soon(0);
}

/* Somebody marks text to copy it: leave it alone. */
function marking() {
	const s = getSelection();

	return !s.isCollapsed && body.contains(s.anchorNode);
}

function draw(data) {
	const shape = JSON.stringify({ ...data, now: 0 }, (k, v) => (k === "now" ? 0 : v));

	if ((shape === drawn && Date.now() - drawnAt < STALE_MS) || (drawn && marking()))
		return;
	drawn = shape;
	drawnAt = Date.now();
	show(body, view.body(data));
}

function refused(e) {
	if (e.status === 401) {
		keepToken("");
		signIn(e.message);
		return;
	}
	drawn = "";
	show(body, el("div", { class: "panel trouble", role: "alert" }, el("p", {}, e.message), e.remedy && el("p", { class: "muted" }, e.remedy)));
}

async function look() {
	const mine = view;

	if (drawn && mine.every_ms > Date.now() - answeredAt)
		return;
	loading = new AbortController();
	try {
		const data = await mine.load(loading.signal);

		lastAnswer = Date.now();
		if (mine !== view)
			return;
		answeredAt = lastAnswer;
		draw(data);
	} catch (e) {
		if (e.name === "AbortError" || mine !== view)
			return;
		/* An engine that says 503 has lost its store: as good as not there. */
		if (!(e instanceof Refused) || e.status === 503)
			throw e;
		lastAnswer = Date.now();
		refused(e);
	}
}

/* ---- is it there? */

function onState({ lost, retryAt, streaming }) {
	clearInterval(countdown);
	dot.className = lost ? "lost" : streaming ? "live" : "polling";
	dot.title = dot.textContent = lost ? "no connection" : streaming ? "live" : "every few seconds";
	body.classList.toggle("stale", lost);
	if (!lost) {
		show(banner);
		return;
	}
	const wait = el("span");
	const tick = () => show(wait, `tries again in ${span(Math.max(1000, retryAt - Date.now()))}`);

	tick();
	countdown = setInterval(tick, 1000);
	if (!banner.childElementCount || !banner.querySelector("button"))
		show(banner, el("p", {}, el("strong", {}, "The engine does not answer. "),
			lastAnswer ? `What you see is of ${clock(lastAnswer)}. Sessions and logins go on without it.` : "Sessions and logins go on without it."),
		wait, button("Try now", () => live.soon(0), { id: "try-now" }));
	else
		banner.querySelector("span").replaceWith(wait);
}

/* ---- who looks */

function signIn(trouble) {
	live.stop();
	clearInterval(countdown);
	show(banner);
	show(document.getElementById("nav"));
	show(document.getElementById("tools"), themeSwitch());
	const form = el("form", { class: "panel sign-in" }, el("h1", {}, "mailferry"),
		el("p", { class: "field" }, el("label", { for: "token" }, "Token"),
			el("input", { id: "token", name: "token", type: "password", required: true, autocomplete: "off", "aria-describedby": "token-hint" }),
			el("small", { id: "token-hint" }, "One of those in the settings’ file of tokens. It stays in this tab and is forgotten with it.")),
		el("p", { class: "trouble", role: "alert" }, trouble), el("p", { class: "buttons" }, el("button", { class: "primary", type: "submit" }, "Sign in")));

	form.addEventListener("submit", (e) => {
		e.preventDefault();
		keepToken(new FormData(form).get("token").trim());
		begin();
	});
	show(main, form);
	form.querySelector("input").focus();
}

function signOut() {
	keepToken("");
	signIn("");
}

function frame(role) {
	mayOperate(role !== "view");
	show(document.getElementById("nav"), NAV.map(([word, text]) => el("a", { href: `#/${word}`, "data-word": word }, text)));
	show(document.getElementById("tools"), dot, el("span", { class: "muted", id: "role" }, role === "view" ? "may look" : "may operate"),
		themeSwitch(), button("Sign out", signOut, { class: "small" }));
	show(main, head, body);
}

async function begin() {
	let told;

	if (!token()) {
		signIn("");
		return;
	}
	try {
		told = await ask("/v1");
	} catch (e) {
		if (e.name === "AbortError")
			return;
		if (e instanceof Refused) {
			keepToken("");
			signIn(e.message);
			return;
		}
		show(banner, el("p", {}, el("strong", {}, "The engine does not answer. "), "Tries again in a few seconds."));
		setTimeout(begin, 3000);
		return;
	}
	show(banner);
	opensrsOffers(told.opensrs);
	frame(told.role ?? "operate");
	live.start(look, onState, told.routes.some((r) => r.path === "/v1/events"));
	enter();
}

/* The part behind # is the place, and skipping to the content is none. */
document.getElementById("skip").addEventListener("click", (e) => {
	e.preventDefault();
	main.focus();
});
addEventListener("hashchange", () => {
	if (head.isConnected)
		enter();
});
begin();
