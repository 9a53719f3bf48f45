/* Lines over time, as SVG. */
import { svg } from "./dom.js";
import { clock, date } from "./format.js";

const W = 640, H = 170, LEFT = 52, RIGHT = 8, TOP = 10, BOTTOM = 22;
const STEPS_MS = [60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200].map((s) => s * 1000);

/* 1, 2 or 5 times a power of ten, so that about n of them fill max. */
function niceStep(max, n) {
	const raw = max / n, power = 10 ** Math.floor(Math.log10(raw));

	return [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw);
}

function gridY(max, y, format) {
	const step = Math.max(niceStep(max, 4), 1), lines = []; /* what is drawn is counted in whole ones */

	for (let v = 0; v <= max * 1.0001; v += step)
		lines.push(svg("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y(v), y2: y(v) }),
			svg("text", { class: "tick", x: LEFT - 6, y: y(v) + 3.5, "text-anchor": "end" }, format(v)));
	return lines;
}

function gridX(from, to, x) {
	const step = STEPS_MS.find((s) => (to - from) / s <= 7) ?? 86400000, ticks = [];
	const zone = new Date(from).getTimezoneOffset() * 60000;

	for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step)
		ticks.push(svg("line", { class: "grid", x1: x(t), x2: x(t), y1: TOP, y2: H - BOTTOM }),
			svg("text", { class: "tick", x: Math.min(x(t), W - 18), y: H - 7, "text-anchor": "middle" }, clock(t)));
	return ticks;
}

/* points: [[ms, value]]; a value of null leaves a gap. */
function path(points, x, y) {
	let d = "", pen = "M";

	for (const [t, v] of points) {
		if (v === null) {
			pen = "M";
			continue;
		}
		d += `${pen}${x(t).toFixed(1)} ${y(v).toFixed(1)}`;
		pen = "L";
	}
	return d;
}

function nearest(points, t) {
	return points.reduce((best, p) => (p[1] !== null && (!best || Math.abs(p[0] - t) < Math.abs(best[0] - t)) ? p : best), null);
}

/* The value under the pointer. */
function readOut(root, points, x, y, from, to, format) {
	const dot = svg("circle", { class: "dot", r: 3, visibility: "hidden" });
	const text = svg("text", { class: "readout", y: TOP + 6, visibility: "hidden" });

	root.addEventListener("pointermove", (e) => {
		const box = root.getBoundingClientRect();
		const p = nearest(points, from + ((((e.clientX - box.left) / box.width) * W - LEFT) / (W - LEFT - RIGHT)) * (to - from));

		if (!p)
			return;
		const right = x(p[0]) > W / 2;

		dot.setAttribute("cx", x(p[0]));
		dot.setAttribute("cy", y(p[1]));
		text.setAttribute("x", right ? x(p[0]) - 8 : x(p[0]) + 8);
		text.setAttribute("text-anchor", right ? "end" : "start");
		text.textContent = `${format(p[1])} at ${date(p[0])}`;
		dot.setAttribute("visibility", "visible");
		text.setAttribute("visibility", "visible");
	});
	root.addEventListener("pointerleave", () => {
		dot.setAttribute("visibility", "hidden");
		text.setAttribute("visibility", "hidden");
	});
	root.append(dot, text);
}

/* label: what a person who cannot see it is told. */
export function plot({ points, from, to, format, label }) {
	const max = Math.max(1, ...points.map((p) => p[1] ?? 0)) * 1.05;
	const x = (t) => LEFT + ((t - from) / (to - from)) * (W - LEFT - RIGHT);
	const y = (v) => H - BOTTOM - (v / max) * (H - TOP - BOTTOM);
	const line = path(points, x, y);
	const root = svg("svg", { class: "plot", viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label },
		gridX(from, to, x), gridY(max, y, format), svg("path", { class: "line", d: line }));

	readOut(root, points, x, y, from, to, format);
	return root;
}
