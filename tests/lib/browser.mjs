/*
 * A Chromium that is told what to do by lines of JSON on stdin, one answer a line on stdout:
 * {"call": "click", "args": ["#id"]}. What the page writes to its console, and errors, are kept.
 */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const { chromium } = createRequire(process.env.PLAYWRIGHT + "/")("playwright-core");
const TIMEOUT_MS = 15000;

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: process.getuid() === 0 ? ["--no-sandbox"] : [] });
let context, page, noise = [];

/* What any page of ours must hold to, as far as a program can tell. Runs inside the page. */
function inspect() {
	const faults = [];
	const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
	const label = (e) => e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent.trim() || e.title;

	if (wide > 0)
		faults.push(`the page is ${wide} px wider than the screen`);
	for (const e of document.querySelectorAll("a[href], button, input, select, textarea"))
		if (!label(e))
			faults.push(`nobody can hear what this is: ${e.outerHTML.slice(0, 120)}`);
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	for (const id of ids.filter((v, i) => ids.indexOf(v) !== i))
		faults.push(`twice the id ${id}`);
	if (document.querySelectorAll("h1").length !== 1)
		faults.push("not one h1");
	for (const e of document.querySelectorAll("img, iframe, object, [style], main script"))
		faults.push(`not ours: ${e.outerHTML.slice(0, 120)}`);
	return faults;
}

const calls = {
	async open(scheme, width, height, token) {
		await context?.close();
		noise = [];
		context = await browser.newContext({ colorScheme: scheme, viewport: { width, height }, ignoreHTTPSErrors: true });
		context.setDefaultTimeout(TIMEOUT_MS);
		page = await context.newPage();
		page.on("console", (m) => noise.push(`${m.type()}: ${m.text()}`));
		page.on("pageerror", (e) => noise.push(`error: ${e.message}`));
		page.on("dialog", (d) => {
			noise.push(`dialog: ${d.message()}`);
			d.dismiss();
		});
		if (token)
			await page.addInitScript((t) => sessionStorage.setItem("mailferry.token", t), token);
	},
	goto: (url) => page.goto(url).then(() => null),
	click: (selector) => page.click(selector),
	fill: (selector, text) => page.fill(selector, text),
	select: (selector, value) => page.selectOption(selector, value),
	press: (key) => page.keyboard.press(key),
	wait: (selector) => page.waitForSelector(selector).then(() => null),
	gone: (selector) => page.waitForSelector(selector, { state: "detached" }).then(() => null),
	/* What the page gives to be kept, as bytes of base64. */
	async saved(selector) {
		const [file] = await Promise.all([page.waitForEvent("download"), page.click(selector)]);

		return (await readFile(await file.path())).toString("base64");
	},
	text: (selector) => page.locator(selector).allInnerTexts(),
	evaluate: (text) => page.evaluate(text),
	inspect: () => page.evaluate(inspect),
	shot: (path) => page.screenshot({ path, fullPage: true }).then(() => null),
	noise: () => noise.splice(0),
};

for await (const line of createInterface({ input: process.stdin })) {
	const { call, args } = JSON.parse(line);
	let answer;

	try {
		answer = { value: (await calls[call](...args)) ?? null };
	} catch (e) {
		answer = { error: `${call} ${JSON.stringify(args)}: ${e.message}` };
	}
	process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
