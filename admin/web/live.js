/*
 * Hides: how the page learns that something has changed. A stream of server-sent events, read
 * with fetch because EventSource cannot send a token; where there is none, the clock. An event
 * only says "look again": what is shown always comes from a whole answer.
 */
import { headers } from "./api.js";

const SETTLE_MS = 700; /* events of one moment make one look */
const STREAMING_MS = 15000; /* what no event tells: times, progress, leases */
const POLLING_MS = 3000;
const RETRY_MS = [1000, 2000, 4000, 8000, 15000];
const SILENT_MS = 60000; /* a stream that says nothing, not even a comment, is dead */
const NO_STREAM_MS = 60000; /* a refused stream is tried again so seldom */

let look = async () => {};
let tell = () => {};
let laterTimer = 0;
let timer = 0, due = 0, running = false, again = false, failures = 0;
let streaming = false, abort = null;

document.addEventListener("visibilitychange", () => {
	if (!document.hidden)
		soon(0);
});

/*
 * onLook() fetches and draws, and throws if it cannot; onState({lost, retryAt, streaming});
 * events: the engine has a stream of them.
 */
export function start(onLook, onState, events) {
	look = onLook;
	tell = onState;
	if (events)
		stream();
	soon(0);
}

export function stop() {
	clearTimeout(timer);
	clearTimeout(laterTimer);
	abort?.abort();
	look = async () => {};
	tell = () => {};
	streaming = false;
}

/* Looks again within ms. */
export function soon(ms) {
	const at = Date.now() + ms;

	if (running) {
		again = true;
		return;
	}
	if (timer && due <= at)
		return;
	clearTimeout(timer);
	due = at;
	timer = setTimeout(run, ms);
}

/* Looks again in ms, also when asked for in a look: for what no event tells. */
export function later(ms) {
	clearTimeout(laterTimer);
	laterTimer = setTimeout(() => soon(0), ms);
}

async function run() {
	timer = 0;
	if (document.hidden)
		return;
	running = true;
	again = false;
	let wait;

	try {
		await look();
		failures = 0;
		wait = streaming ? STREAMING_MS : POLLING_MS;
	} catch (e) {
		wait = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)];
	}
	running = false;
	tell({ lost: failures > 0, retryAt: Date.now() + wait, streaming });
	soon(again && !failures ? SETTLE_MS : wait);
}

/* ---- the stream */

/*
 * Lines of one stream. It begins with how waves and the sums stand, up to the first summary: the
 * look that goes with a stream's beginning has shown that.
 */
function listener() {
	let event = "", begun = false;

	return (line) => {
		if (line.startsWith("event:"))
			event = line.slice("event:".length).trim();
		if (!line.startsWith("data:"))
			return;
		if (begun || (event !== "wave" && event !== "summary"))
			soon(SETTLE_MS);
		begun ||= event === "summary";
	};
}

async function read(body, alive) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	const onLine = listener();
	let rest = "";

	for (;;) {
		const { value, done } = await reader.read();

		if (done)
			return;
		alive();
		const lines = (rest + value).split("\n");

		rest = lines.pop();
		lines.forEach(onLine);
	}
}

/* first: a look begins with it. */
async function once(mine, first) {
	let silence = 0;
	const alive = () => {
		clearTimeout(silence);
		silence = setTimeout(() => mine.abort(), SILENT_MS);
	};

	try {
		const answer = await fetch("/v1/events", { headers: { ...headers(), Accept: "text/event-stream" },
							   cache: "no-store", credentials: "omit", signal: mine.signal });

		if (!answer.ok || !answer.headers.get("Content-Type")?.startsWith("text/event-stream"))
			return NO_STREAM_MS;
		streaming = true;
		if (!first)
			soon(0);
		alive();
		await read(answer.body, alive);
	} catch {
		/* it ended; the look that follows finds out whether the engine is there */
	}
	clearTimeout(silence);
	return RETRY_MS[1];
}

async function stream() {
	const mine = new AbortController();
	let first = true;

	abort?.abort();
	abort = mine;
	while (abort === mine) {
		const wait = await once(new AbortLink(mine.signal), first);

		first = streaming = false;
		if (abort !== mine || mine.signal.aborted)
			return;
		soon(0);
		await new Promise((done) => setTimeout(done, wait));
	}
}

/* Ends by itself, or with its parent. */
class AbortLink extends AbortController {
	constructor(parent) {
		super();
		parent.addEventListener("abort", () => this.abort(), { once: true });
	}
}
