// Numbers of the running system over the last hour, as small charts.

import { get } from "/console/api.js";
import { chart } from "/console/chart.js";
import { duration, fill, h, latest, many, short, timeOf } from "/console/dom.js";
import { answerOf, health } from "/console/endpoint.js";

const PERCENTILES = [["P50", "half within"], ["P95", "95 % within"], ["P99", "99 % within"]];
const latency = (title, name, words) => [title, PERCENTILES.map(([percent]) => name + percent), words, PERCENTILES.map(([, within]) => within)];
// Title, series, and for latencies what is measured and how each line is called.
const CHARTS = [
  ["Messages", ["accepted", "submitted", "inbound"]],
  ["Receipts and events", ["receipts", "events"]],
  ["Callbacks", ["acknowledged", "unanswered"]],
  latency("Until it is stored", "storedIn", "From the POST until the message is durable"),
  latency("Until the carrier has it", "handedIn", "From the POST until the hand-over"),
  latency("Until the application knows", "toldIn", "From an event until its callback is acknowledged"),
  ["Queue", ["queue", "handed"]],
  ["Age of the oldest", ["queueAge", "callbackAge"]],
  ["Waiting in memory", ["callbacks"]],
  ["Room at the carriers", ["room"]],
  ["Failing endpoints", ["failingEndpoints"]],
  ["Refused requests", ["refused"]],
];
// How far back: seconds a point, how many points, in words.
const SPANS = [[1, 60, "1 minute"], [1, 300, "5 minutes"], [60, 60, "1 hour"]];
const ENDPOINTS_EVERY = 5; // samples

/** Says a value with its unit. */
function said(value, unit) {
  if (value === undefined) return "–";
  if (unit === "s") return duration(value);
  if (unit === "ms" && value >= 10000) return duration(value / 1000);
  return unit === "/s" ? `${short(value)}/s` : `${short(value)} ${unit}`;
}

export function mount(root, node) {
  let series = new Map();
  let links = [];
  let endpoints = [];
  let span = SPANS[1];
  let close = () => {};
  let left = false;
  let drawing = 0;
  const grid = h("div", { class: "charts" });
  const linkList = h("div");
  const endpointList = h("div");
  const spans = h("div", { class: "tabs", role: "group", "aria-label": "How far back" });
  fill(root, h("div", { class: "head" }, h("h1", null, "Numbers"), h("span", { class: "grow" }), spans), grid,
    h("div", { class: "columns" },
      h("section", { class: "card", "aria-labelledby": "links" }, h("h2", { id: "links" }, "Links"), linkList),
      h("section", { class: "card", "aria-labelledby": "endpoints" }, h("h2", { id: "endpoints" }, "Endpoints"), endpointList)),
    h("p", { class: "dim note" }, "Of this node, since it started; a latency is measured once a batch, and an hour's points show the worst second of each minute. For other tools: ", h("a", { href: "/metrics" }, "/metrics"), " and ", h("a", { href: "/admin/rates" }, "/admin/rates"), "."));

  function showSpans() {
    fill(spans, SPANS.map((one) =>
      h("button", { type: "button", class: "tab", "aria-pressed": String(span === one), onclick: () => { span = one; showSpans(); load(); } }, one[2])));
  }

  async function load() {
    await node.attempt(async () => {
      const [step, most] = span;
      const answer = await get(`/admin/rates?step=${step}&last=${most}`);
      if (left || span[0] !== step || span[1] !== most) return;
      series = new Map(answer.series.map((one) => [one.name, one]));
      ({ links, endpoints } = answer);
      let samples = 0;
      close();
      close = node.follow(answer.live, {
        rates(sample) {
          samples += 1;
          links = sample.links;
          if (samples % ENDPOINTS_EVERY === 0) askEndpoints();
          if (step === 60 && samples % 60 === 0) return void load();
          if (step === 1) for (const [name, line] of series) line.values = [...line.values, sample.values[name]].slice(-most);
          redraw();
        },
        reset: load,
      });
      draw();
    });
  }

  async function askEndpoints() {
    try {
      ({ endpoints } = await get("/admin/callbacks?limit=1"));
    } catch {
      return; // the header says that there is no connection
    }
    if (!left) redraw();
  }

  function redraw() {
    drawing ||= requestAnimationFrame(() => { drawing = 0; draw(); });
  }

  function draw() {
    if (left) return;
    const [step, most] = span;
    fill(grid, CHARTS.map(([title, names, measured, words]) => {
      const lines = names.map((name) => series.get(name)).filter(Boolean);
      return h("section", { class: "card chart-card", "aria-label": title },
        h("div", null, h("h2", null, title), measured ? h("p", { class: "dim measured" }, measured) : null),
        chart(lines, most, step),
        h("ul", { class: "legend" }, lines.map((line, index) => h("li", { class: `line-${index}`, title: line.help },
          h("span", { class: "swatch", "aria-hidden": "true" }), h("span", null, words?.[index] ?? line.help), h("b", null, said(latest(line.values), line.unit))))));
    }));
    fill(linkList, h("ul", { class: "plain spaced" }, links.map((carrier) => h("li", { class: "named" },
      h("span", { class: "name" }, h("b", null, carrier.carrier), h("span", { class: "dim" }, carrier.room > 0 ? `takes ${many(carrier.room, "segment")} now` : "takes nothing now")),
      carrier.links.length
        ? carrier.links.map((one) => h("span", { class: `badge ${one.bound ? "answers" : "failing"}` }, `link ${one.link} ${one.bound ? `bound, ${one.pending} of ${one.window} under way` : "not bound"}`))
        : h("span", { class: `badge ${carrier.room > 0 ? "answers" : "failing"}` }, carrier.room > 0 ? "up" : "down or full")))));
    fill(endpointList, endpoints.length
      ? h("ul", { class: "plain spaced" }, endpoints.map((one) => h("li", { class: "named" },
        h("span", { class: "name" }, h("b", null, `${one.name || one.application}: ${one.direction === "in" ? "inbound messages" : "status events"}`),
          h("span", { class: "dim" }, `${one.inFlight} under way · ${one.pending} pending`, one.last ? [" · last ", answerOf(one.last), " ", timeOf(one.last.time, node.nowIso())] : null)),
        h("span", { class: `badge ${health(one)}` }, health(one)))))
      : h("p", { class: "dim" }, "No application has an address for callbacks."));
  }

  showSpans();
  load();
  return () => { left = true; cancelAnimationFrame(drawing); close(); };
}
