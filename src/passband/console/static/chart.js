// A small chart: a few lines over one time, drawn as SVG without any style of its own.

import { duration, latest, short, svg } from "/console/dom.js";

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

/** Returns the points of a line in runs without gaps: ``null`` is a moment at which there was nothing to measure. */
function runsOf(points, values) {
  const runs = [[]];
  for (const [index, point] of points.entries()) {
    if (values[index] !== null) runs.at(-1).push(point);
    else if (runs.at(-1).length) runs.push([]);
  }
  return runs.filter((run) => run.length);
}

/** Draws lines of values, oldest first, ``most`` of them across, each ``step`` seconds wide; the first is the main one. */
export function chart(lines, most, step) {
  const unit = lines[0]?.unit;
  const top = ceiling(Math.max(0, ...lines.flatMap((line) => line.values)));
  const x = (index, count) => LEFT + ((WIDTH - LEFT - 2) * (most - count + index)) / Math.max(1, most - 1);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const words = lines.map((line) => `${line.help}: last ${short(latest(line.values) ?? 0)}${line.unit}, at most ${short(Math.max(0, ...line.values))}`).join("; ");
  const grid = [0, 0.5, 1].map((part) => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(top * part), y2: y(top * part) }),
    top * part === 0.5 ? null : svg("text", { class: "axis", x: LEFT - 5, y: y(top * part) + 3, "text-anchor": "end" }, unit === "ms" && top >= 10000 ? duration((top * part) / 1000) : short(top * part)),
  ]);
  const drawn = lines.map((line, index) => {
    const points = line.values.map((value, at) => `${x(at, line.values.length).toFixed(1)},${y(value ?? 0).toFixed(1)}`);
    const base = y(0).toFixed(1);
    return runsOf(points, line.values).map((run) => [
      index === 0 && run.length > 1 ? svg("polygon", { class: "area", points: `${run[0].split(",")[0]},${base} ${run.join(" ")} ${run.at(-1).split(",")[0]},${base}` }) : null,
      svg("polyline", { class: `line line-${index}`, points: run.length > 1 ? run.join(" ") : `${run[0]} ${run[0]}` }),
    ]);
  });
  return svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words },
    grid, drawn.toReversed(),
    svg("text", { class: "axis", x: LEFT, y: HEIGHT - 3 }, `${duration(most * step)} ago`),
    svg("text", { class: "axis", x: WIDTH - 2, y: HEIGHT - 3, "text-anchor": "end" }, "now"));
}
