/* Hides: the token, and how the engine is asked. */

const KEY = "mailferry.token";
const ANSWER_MS = 20000; /* then the engine counts as not there */

/* What the engine refused, in its own words. */
export class Refused extends Error {
	constructor(status, text, remedy) {
		super(text);
		this.status = status;
		this.remedy = remedy;
	}
}

/* The engine could not be asked at all. */
export class Unreachable extends Error {}

/* In this tab only, gone with it. */
export function token() {
	return sessionStorage.getItem(KEY) ?? "";
}

export function keepToken(value) {
	if (value)
		sessionStorage.setItem(KEY, value);
	else
		sessionStorage.removeItem(KEY);
}

export function headers() {
	const value = token();

	return value ? { Authorization: `Bearer ${value}` } : {};
}

/* What an answer says to who has signed out or in since it was asked for is nobody's business. */
function stillAsks(sent) {
	if (token() !== sent)
		throw new DOMException("somebody else is signed in", "AbortError");
}

async function send(path, options) {
	const late = AbortSignal.timeout(ANSWER_MS);
	const signal = options.signal ? AbortSignal.any([options.signal, late]) : late;

	try {
		return await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...options, signal });
	} catch (e) {
		if (e.name === "AbortError")
			throw e;
		throw new Unreachable("the engine does not answer");
	}
}

/*
 * GET, or with a body POST; the answer's text and the object in it. Who wants to keep what was
 * signed keeps the text: an object written anew need not be the same.
 */
export async function askWhole(path, body, signal) {
	const options = { headers: headers(), signal }, sent = token();

	if (body) {
		options.method = "POST";
		options.headers["Content-Type"] = "application/json";
		options.body = JSON.stringify(body);
	}
	const answer = await send(path, options);
	let text, told;

	try {
		text = await answer.text();
		told = JSON.parse(text);
	} catch (e) {
		if (e.name === "AbortError")
			throw e;
		throw new Unreachable(`the engine's answer cannot be read (${answer.status})`);
	}
	stillAsks(sent);
	if (!answer.ok)
		throw new Refused(answer.status, told.error ?? `status ${answer.status}`, told.remedy);
	return { text, told };
}

export async function ask(path, body, signal) {
	return (await askWhole(path, body, signal)).told;
}

/* What costs much or changes seldom: asked for again after ms, or once it was forgotten. */
export function seldom(ms, load) {
	let told, until = 0, forgotten = 0;

	return {
		async get(signal) {
			if (Date.now() >= until) {
				const before = forgotten;

				told = await load(signal);
				until = before === forgotten ? Date.now() + ms : 0;
			}
			return told;
		},
		forget() {
			until = 0;
			forgotten++;
		},
	};
}

/* The parameters that have a value, as "?a=b&c=d". */
export function query(params) {
	const q = new URLSearchParams(Object.entries(params).filter(([, v]) => v !== "" && v !== undefined && v !== null));
	const text = q.toString();

	return text ? `?${text}` : "";
}

export function userPath(name, tail = "") {
	return `/v1/users/${encodeURIComponent(name)}${tail}`;
}
