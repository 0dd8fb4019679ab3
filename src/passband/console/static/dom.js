// Making elements, and saying times and numbers as people do.

/** Returns an element. Properties that begin with "on" are listeners; "data" and "aria-…" are attributes. */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && !name.startsWith("aria") && name !== "list" && name !== "form") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Returns an SVG element; all its properties are attributes. */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, value);
  element.append(...children.flat(3).filter(Boolean));
  return element;
}

/** Puts children in place of what an element has. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const PATHS = {
  phone: "M7 2.5h10a1.500 1.500 0 0 1 1.500 1.500v16a1.500 1.500 0 0 1-1.500 1.500H7A1.500 1.500 0 0 1 5.500 20V4A1.500 1.500 0 0 1 7 2.500zM10.500 18.500h3",
  path: "M3 12h4m10 0h4M7 8h10v8H7zM10 12h4",
  bell: "M6 16.500V11a6 6 0 1 1 12 0v5.500l1.500 2h-15zM10 21h4",
  bolt: "M13 2.500 5 13.500h6l-1 8 8-11h-6z",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5.200l3.300 2",
  cut: "M4 6h16M4 12h9m3 0h4M4 18h5m3 0h8",
  chart: "M4 20V4m0 16h16M8 16v-4m4 4V8m4 8v-6",
  sun: "M12 7.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM12 2v2m0 16v2M2 12h2m16 0h2M4.900 4.900l1.400 1.400m11.400 11.400 1.400 1.400M4.900 19.100l1.400-1.400M17.700 6.300l1.400-1.400",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z",
  half: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  clip: "M20 11.500 12 19.500a5 5 0 0 1-7-7l8.500-8.500a3.300 3.300 0 0 1 4.700 4.700l-8.500 8.500a1.700 1.700 0 0 1-2.400-2.400l7.700-7.700",
  send: "M4 12 20 4.500 15 20l-3.500-6.500zM11.500 13.500 20 4.500",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  down: "M6 9l6 6 6-6",
  retry: "M4.500 12a7.500 7.500 0 1 1 2.200 5.300M4.500 20v-4.500H9",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5.500M12 7.500v.1",
};

/** Returns a small drawing, which says nothing to a screen reader. */
export function icon(name) {
  const path = svg("path", { d: PATHS[name], fill: "none", stroke: "currentColor", "stroke-width": "1.800", "stroke-linecap": "round", "stroke-linejoin": "round" });
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, path);
}

const two = (number) => String(number).padStart(2, "0");

/** Says a time of day, with the date where it is another day than the node's. */
export function clockTime(iso, today) {
  if (!iso) return "";
  const at = new Date(iso);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  if (today && new Date(today).toDateString() !== at.toDateString()) {
    return `${at.toLocaleDateString(undefined, { day: "numeric", month: "short" })} ${time}`;
  }
  return time;
}

/** Returns a <time> that says the time of day and holds the exact instant. */
export function timeOf(iso, today) {
  return h("time", { dateTime: iso, title: iso }, clockTime(iso, today));
}

/** Says a number of seconds. */
export function duration(seconds) {
  const s = Math.max(0, seconds);
  if (s === 0) return "0 s";
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 90) return `${s < 10 ? s.toFixed(1).replace(".0", "") : Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${(s / 3600).toFixed(1).replace(".0", "")} h`;
  return `${Math.round(s / 86400)} days`;
}

/** Says a number shortly: 1,234 or 12.3k. */
export function short(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1).replace(".0", "")}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1).replace(".0", "")}k`;
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  return value.toFixed(value < 10 ? 2 : 1);
}

/** Says how many there are of something. */
export const many = (count, one, more = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : more}`;

/** Says a telephone number in groups, where it is a North American one. */
export function shownNumber(number) {
  const match = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  return match ? `+1\u00a0${match[1]}\u00a0${match[2]}\u00a0${match[3]}` : number;
}

/** Returns the last of these values that is one: a latency has none where nothing was measured. */
export const latest = (values) => values.findLast((value) => value !== null);
