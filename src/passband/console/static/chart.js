// A small chart: a few lines over one time, drawn as SVG without any style of its own.

import { duration, short, svg } from "/console/dom.js";

const WIDTH = 320;
const HEIGHT = 110;
const LEFT = 34;
const BOTTOM = 16;
const TOP = 6;

/** Returns the smallest of 1, 2, 5, 10, 20 … that is not below a value. */
function ceiling(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= value - 1e-9);
}

/** Draws lines of values, oldest first, ``most`` of them across, each ``step`` seconds wide. */
export function chart(lines, most, step) {
  const top = ceiling(Math.max(0, ...lines.flatMap((line) => line.values)));
  const x = (index, count) => LEFT + ((WIDTH - LEFT - 2) * (most - count + index)) / Math.max(1, most - 1);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const words = lines.map((line) => `${line.help}: now ${short(line.values.at(-1) ?? 0)}${line.unit}, at most ${short(Math.max(0, ...line.values))}`).join("; ");
  const grid = [0, 0.5, 1].map((part) => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(top * part), y2: y(top * part) }),
    top * part === 0.5 ? null : svg("text", { class: "axis", x: LEFT - 5, y: y(top * part) + 3, "text-anchor": "end" }, short(top * part)),
  ]);
  const drawn = lines.map((line, index) => {
    const points = line.values.map((value, at) => `${x(at, line.values.length).toFixed(1)},${y(value).toFixed(1)}`);
    if (!points.length) return null;
    const base = y(0).toFixed(1);
    return [
      index === 0 ? svg("polygon", { class: "area", points: `${points[0].split(",")[0]},${base} ${points.join(" ")} ${points.at(-1).split(",")[0]},${base}` }) : null,
      svg("polyline", { class: `line line-${index}`, points: points.join(" ") }),
    ];
  });
  return svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words },
    grid, drawn,
    svg("text", { class: "axis", x: LEFT, y: HEIGHT - 3 }, `${duration(most * step)} ago`),
    svg("text", { class: "axis", x: WIDTH - 2, y: HEIGHT - 3, "text-anchor": "end" }, "now"));
}
