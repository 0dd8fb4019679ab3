// Numbers of the running system over the last hour, as small charts.

import { get } from "/console/api.js";
import { chart } from "/console/chart.js";
import { duration, fill, h, short } from "/console/dom.js";

const CHARTS = [
  ["Messages", ["accepted", "submitted", "inbound"]],
  ["Receipts and events", ["receipts", "events"]],
  ["Callbacks", ["acknowledged", "unanswered"]],
  ["Queue", ["queue", "handed"]],
  ["Age of the oldest", ["queueAge", "callbackAge"]],
  ["Callbacks in memory", ["callbacks"]],
  ["Latency", ["storedIn", "handedIn", "toldIn"]],
  ["Refused requests", ["refused"]],
  ["Failing endpoints", ["failingEndpoints"]],
];
const MINUTES = 5;

/** Says a value with its unit. */
function said(value, unit) {
  if (unit === "s") return duration(value);
  return unit === "/s" ? `${short(value)}/s` : `${short(value)} ${unit}`;
}

export function mount(root, node) {
  let series = new Map();
  let links = [];
  let step = 1;
  let close = () => {};
  let left = false;
  let drawing = 0;
  const grid = h("div", { class: "charts" });
  const links_ = h("div", { class: "links" });
  const spans = h("div", { class: "tabs", role: "group", "aria-label": "How far back" });
  fill(root, h("div", { class: "head" }, h("h1", null, "Numbers"), h("span", { class: "grow" }), spans), grid,
    h("section", { class: "card", "aria-labelledby": "links" }, h("h2", { id: "links" }, "Links"), links_),
    h("p", { class: "dim note" }, "Of this node, since it started. For other tools: ", h("a", { href: "/metrics" }, "/metrics"), " and ", h("a", { href: "/admin/rates" }, "/admin/rates"), "."));

  function showSpans() {
    fill(spans, [[1, `${MINUTES} minutes`], [60, "1 hour"]].map(([value, words]) =>
      h("button", { type: "button", class: "tab", "aria-pressed": String(step === value), onclick: () => { step = value; showSpans(); load(); } }, words)));
  }

  async function load() {
    await node.attempt(async () => {
      const answer = await get(`/admin/rates?step=${step}`);
      if (left) return;
      const most = step === 1 ? MINUTES * 60 : 60;
      series = new Map(answer.series.map((one) => [one.name, { ...one, values: one.values.slice(-most) }]));
      links = answer.links;
      let samples = 0;
      close();
      close = node.follow(answer.live, {
        rates({ values }) {
          if (step === 60 && ++samples % 60) return;
          if (step === 60) return void load();
          for (const [name, line] of series) line.values = [...line.values, values[name]].slice(-most);
          redraw();
        },
        reset: load,
      });
      draw();
    });
  }

  function redraw() {
    drawing ||= requestAnimationFrame(() => { drawing = 0; draw(); });
  }

  function draw() {
    const most = step === 1 ? MINUTES * 60 : 60;
    fill(grid, CHARTS.map(([title, names]) => {
      const lines = names.map((name) => series.get(name)).filter(Boolean);
      return h("section", { class: "card chart-card", "aria-label": title },
        h("h2", null, title),
        chart(lines, most, step),
        h("ul", { class: "legend" }, lines.map((line, index) => h("li", { class: `line-${index}`, title: line.help },
          h("span", { class: "swatch", "aria-hidden": "true" }), h("span", null, line.help), h("b", null, said(line.values.at(-1) ?? 0, line.unit))))));
    }));
    fill(links_, h("ul", { class: "plain spaced" }, links.map((one) => h("li", null, h("b", null, one.carrier), " ",
      h("span", { class: `badge ${one.room > 0 ? "answers" : "failing"}` }, one.room > 0 ? `takes ${one.room.toLocaleString("en")} segments now` : "takes nothing now")))));
  }

  showSpans();
  load();
  return () => { left = true; cancelAnimationFrame(drawing); close(); };
}
