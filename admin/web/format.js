/* Numbers, sizes and times as people read them. */

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
const SPANS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const whole = new Intl.NumberFormat("en");

export function count(n) {
	return whole.format(n ?? 0);
}

export function some(n, one, many) {
	return `${count(n)} ${n === 1 ? one : many}`;
}

export function bytes(n) {
	let u = 0;

	while (n >= 1000 && u < UNITS.length - 1) {
		n /= 1000;
		u++;
	}
	return `${n >= 100 || u === 0 ? Math.round(n) : n.toFixed(1)} ${UNITS[u]}`;
}

export function percent(part, all) {
	if (!all)
		return "–";
	const p = (100 * part) / all;

	/* Not yet all is never shown as 100 %. */
	return `${part < all ? Math.min(99.9, Math.floor(p * 10) / 10) : 100} %`;
}

/* The two largest units: "3 h 20 min". */
export function span(ms) {
	if (ms < 1000)
		return `${Math.max(0, Math.round(ms))} ms`;
	if (ms < 10000)
		return `${(ms / 1000).toFixed(1)} s`;
	let s = Math.round(ms / 1000);
	const parts = [];

	for (const [size, unit] of SPANS) {
		const n = Math.floor(s / size);

		s -= n * size;
		if (n || parts.length)
			parts.push(n ? `${n} ${unit}` : "");
		if (parts.length === 2)
			break;
	}
	return parts.filter(Boolean).join(" ");
}

function two(n) {
	return String(n).padStart(2, "0");
}

export function clock(ms) {
	const d = new Date(ms);

	return `${two(d.getHours())}:${two(d.getMinutes())}`;
}

export function date(ms) {
	if (!ms)
		return "–";
	const d = new Date(ms);

	return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(ms)}:${two(d.getSeconds())}`;
}
