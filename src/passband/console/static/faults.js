// Faults: what the network, the link and the endpoints do wrong, until told otherwise.

import { get, post, remove } from "/console/api.js";
import { fill, h, icon, shownNumber } from "/console/dom.js";

const GROUPS = [
  ["The network", ["fail", "delay", "late-receipt", "drop-receipt", "repeat-receipt", "early-receipt"]],
  ["The carrier", ["slow-carrier", "link-down"]],
  ["The endpoint", ["endpoint-status", "endpoint-timeout", "endpoint-refuse", "endpoint-lost-answer", "endpoint-slow"]],
];
const TITLES = {
  fail: "Fail with a code", delay: "Arrives late", "late-receipt": "Late receipt", "drop-receipt": "No receipt", "repeat-receipt": "Receipt twice", "early-receipt": "Receipt before the response",
  "slow-carrier": "Slow carrier", "link-down": "Link down", "endpoint-status": "Endpoint answers with a status", "endpoint-timeout": "Endpoint does not answer",
  "endpoint-refuse": "Endpoint refuses connections", "endpoint-lost-answer": "Endpoint's answer is lost", "endpoint-slow": "Endpoint hears late",
};
const FIELDS = {
  code: { label: "Delivery error code", type: "select", value: "4720" },
  seconds: { label: "Seconds", type: "number", min: 0, max: 86400, step: "any", value: "5", placeholder: "as usual" },
  status: { label: "HTTP status", type: "number", min: 100, max: 599, value: "503" },
  rate: { label: "Segments per second", type: "number", min: 0.1, step: "any", value: "1" },
  number: { label: "Only this number", type: "tel", placeholder: "any" },
  prefix: { label: "Only numbers that begin with", type: "tel", placeholder: "any" },
  account: { label: "Only this account", type: "text", placeholder: "any" },
  url: { label: "Only addresses that begin with", type: "url", placeholder: "any" },
  times: { label: "How often", type: "number", min: 1, placeholder: "until deleted" },
};
const LASTING = new Set(["slow-carrier", "link-down"]); // they are so, rather than happen now and then
const READY = [
  ["Next message fails with 4720", { fault: "fail", code: 4720, times: 1 }],
  ["Endpoint answers 503", { fault: "endpoint-status", status: 503 }],
  ["Link down", { fault: "link-down" }],
  ["One segment per second", { fault: "slow-carrier", rate: 1 }],
  ["Arrives a minute late", { fault: "delay", seconds: 60 }],
  ["Every receipt twice", { fault: "repeat-receipt" }],
];

/** Says how often a fault has happened, and of how often it shall. */
function happened({ hits, times }) {
  if (times) return `${hits} of ${times}`;
  return hits ? `${hits.toLocaleString("en")} ×` : "not yet";
}

export function mount(root, node) {
  let sorts = new Map();
  let codes = [];
  let close = () => {};
  let left = false;
  const active = h("ul", { class: "faults", "aria-label": "Faults in force" });
  const fields = h("div", { class: "fields" });
  const does = h("p", { class: "dim" });
  const kind = h("select", { id: "fault", onchange: showFields }, GROUPS.map(([title, names]) => h("optgroup", { label: title }, names.map((name) => h("option", { value: name }, TITLES[name])))));
  const ready = h("div", { class: "ready" }, READY.map(([title, fault]) => h("button", { type: "button", class: "button", onclick: () => add(fault) }, icon("bolt"), title)));
  fill(root,
    h("div", { class: "head" }, h("h1", null, "Faults"), h("span", { class: "grow" }), h("button", { type: "button", class: "button quiet", onclick: () => node.attempt(() => remove("/admin/faults"), "Everything works again") }, "Take all back")),
    h("section", { class: "card", "aria-labelledby": "in-force" }, h("h2", { id: "in-force" }, "In force"), active),
    h("section", { class: "card", "aria-labelledby": "at-hand" }, h("h2", { id: "at-hand" }, "At hand"), ready),
    h("form", { class: "card", "aria-labelledby": "own", onsubmit: (event) => { event.preventDefault(); addOwn(); } }, h("h2", { id: "own" }, "Your own"),
      h("div", { class: "field" }, h("label", { htmlFor: "fault" }, "What goes wrong"), kind), does, fields,
      h("button", { class: "button strong" }, icon("plus"), "Put in force")),
    h("p", { class: "dim note" }, "The newest fault that fits wins. The same from tests: ", h("code", null, "POST /admin/faults"), ", see ", h("a", { href: "/admin" }, "/admin"), "."));

  const add = (fault) => node.attempt(() => post("/admin/faults", fault), "In force");

  function showFields() {
    const sort = sorts.get(kind.value);
    if (!sort) return;
    does.textContent = sort.does[0].toUpperCase() + sort.does.slice(1) + ".";
    fill(fields, [...sort.needs, ...sort.may].map((name) => {
      const { label, type, value, ...rest } = FIELDS[name];
      const needed = sort.needs.includes(name);
      const properties = { id: `fault-${name}`, name, required: needed, ...rest };
      const input = type === "select"
        ? h("select", properties, codes.map((one) => h("option", { value: one.code, title: one.meaning }, `${one.code} ${one.name}`)))
        : h("input", { type, autocomplete: "off", ...properties });
      if (needed && value) input.value = value;
      return h("div", { class: type === "select" ? "field wide" : "field" }, h("label", { htmlFor: `fault-${name}` }, label), input);
    }));
  }

  function addOwn() {
    const fault = { fault: kind.value };
    for (const input of fields.querySelectorAll("input, select")) {
      if (input.value === "") continue;
      fault[input.name] = ["code", "seconds", "status", "rate", "times"].includes(input.name) ? Number(input.value) : input.value;
    }
    add(fault);
  }

  function show(faults) {
    fill(active, faults.map((fault) => {
      const whom = (fault.number && shownNumber(fault.number)) ?? (fault.prefix && `${fault.prefix}…`) ?? fault.account ?? fault.url;
      const title = fault.status ? `Endpoint answers ${fault.status}` : TITLES[fault.fault];
      const how = [fault.code, fault.rate && `${fault.rate}/s`, fault.seconds !== undefined && `${fault.seconds} s`].filter(Boolean).join(", ");
      return h("li", null, h("span", { class: "fault-name" }, h("b", null, title), how ? h("span", { class: "tag" }, how) : null, whom ? h("span", { class: "tag own" }, whom) : null),
        LASTING.has(fault.fault) ? null : h("span", { class: "dim hits" }, happened(fault)),
        h("button", { type: "button", class: "icon-button small", "aria-label": `Take back: ${title} ${how}`, onclick: () => node.attempt(() => remove(`/admin/faults/${fault.id}`)) }, icon("close")));
    }), faults.length ? null : h("li", { class: "dim" }, "None. Everything works."));
  }

  async function load() {
    await node.attempt(async () => {
      const answer = await get("/admin/faults");
      if (left) return;
      sorts = new Map(answer.sorts.map((sort) => [sort.fault, sort]));
      codes = answer.codes;
      show(answer.faults);
      if (!fields.childElementCount) showFields();
      close();
      close = node.follow(answer.live, { faults: show, reset: load });
    });
  }
  load();
  return () => { left = true; close(); };
}
