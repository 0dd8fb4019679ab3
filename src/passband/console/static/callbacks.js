// Callbacks: the endpoints and how they are, every attempt with what was sent, and what is due when.

import { get, post, query, remove } from "/console/api.js";
import { duration, fill, h, icon, many, shownNumber, timeOf } from "/console/dom.js";
import { answerOf, health } from "/console/endpoint.js";

const SHOWN = 200;
const UNTIL = { pending: "Kept trying until ", expired: "Given up at " };
const HEALTH = {
  failing: "one probe at a time until it answers 2xx",
  troubled: "the last attempt failed",
  answers: "",
  unused: "nothing was sent there yet",
};

export function mount(root, node, argument) {
  const developers = node.state.edition === "developers";
  let endpoints = [];
  let known = new Map();
  let received = [];
  let open = argument || null;
  let opened = null; // the whole of the one that is open
  let tab = "callbacks";
  let close = () => {};
  let left = false;
  let drawing = 0;
  let asking = 0;

  const cards = h("div", { class: "endpoints" });
  const state = h("select", { id: "callback-state", onchange: load }, ["all", "pending", "acknowledged", "expired"].map((name) => h("option", { value: name === "all" ? "" : name }, name)));
  const body = h("div", { class: "table callbacks-table", role: "region", "aria-label": "Callbacks", tabIndex: 0 });
  const tabs = h("div", { class: "tabs", role: "group", "aria-label": "What to show" });
  fill(root,
    h("div", { class: "head" }, h("h1", null, "Callbacks"), h("span", { class: "grow" })),
    cards, h("div", { class: "head second" }, tabs, h("span", { class: "grow" }), h("label", { class: "unseen", htmlFor: "callback-state" }, "State"), state), body);

  async function load() {
    await node.attempt(async () => {
      const answer = await get(`/admin/callbacks${query({ state: state.value, limit: SHOWN })}`);
      if (developers) received = (await get("/admin/inbox")).received.reverse();
      if (left) return;
      endpoints = answer.endpoints;
      known = new Map(answer.callbacks.map((one) => [one.key, one]));
      close();
      close = node.follow(answer.live, {
        callback(one) {
          if (state.value && one.state !== state.value) known.delete(one.key);
          else if (known.has(one.key)) known.set(one.key, one);
          else known = new Map([[one.key, one], ...[...known].slice(0, SHOWN - 1)]);
          if (one.key === open) expand();
          redraw();
          askEndpoints();
        },
        inbox(one) { received = [one, ...received.filter((other) => other.number !== one.number)].slice(0, SHOWN); redraw(); },
        "messages-forgotten": load,
        "inbox-forgotten"() { received = []; redraw(); },
        reset: load,
      });
      if (open) await expand();
      draw();
    });
  }

  function askEndpoints() {
    asking ||= setTimeout(async () => {
      asking = 0;
      try {
        endpoints = (await get("/admin/callbacks?limit=1")).endpoints;
      } catch {
        return; // the header says that there is no connection
      }
      if (!left) redraw();
    }, 400);
  }

  async function expand() {
    try {
      opened = await get(`/admin/callbacks/${open}`);
    } catch {
      opened = null;
    }
    if (!left) redraw();
  }

  function redraw() {
    drawing ||= requestAnimationFrame(() => { drawing = 0; draw(); });
  }

  function draw() {
    if (left) return;
    const focused = document.activeElement?.dataset?.key;
    drawEndpoints();
    fill(tabs, [["callbacks", `Callbacks`, known.size], ...(developers ? [["inbox", "Inbox", received.length]] : [])].map(([name, title, count]) =>
      h("button", { type: "button", class: "tab", data: { key: `tab-${name}` }, "aria-pressed": String(tab === name), onclick: () => { tab = name; draw(); } }, title, h("span", { class: "tag" }, String(count)))));
    state.hidden = tab !== "callbacks";
    fill(body, tab === "inbox" ? drawInbox() : drawCallbacks());
    if (focused) root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  // ── endpoints ──

  function drawEndpoints() {
    fill(cards, endpoints.map((one) => {
      const is = health(one);
      const retry = () => node.attempt(() => post(`/admin/callbacks/${encodeURIComponent(one.account)}/${encodeURIComponent(one.application)}/${one.direction}/retry`), "What waits for it is tried now");
      return h("section", { class: `card endpoint ${is}`, "aria-label": `Endpoint for ${one.direction === "in" ? "inbound messages" : "status events"}` },
        h("div", { class: "endpoint-top" }, h("h2", null, one.direction === "in" ? "Inbound messages" : "Status events"), h("span", { class: `badge ${is}` }, is), h("span", { class: "dim" }, HEALTH[is])),
        h("p", { class: "url" }, one.url),
        h("div", { class: "endpoint-foot" },
          h("p", { class: "dim" }, `${one.name || one.application} · ${one.inFlight} under way · ${one.pending} pending`,
            one.last ? [h("br"), "last ", answerOf(one.last), " ", timeOf(one.last.time, node.nowIso())] : null),
          h("button", { type: "button", class: "button", data: { key: `retry-${one.application}-${one.direction}` }, onclick: retry }, icon("retry"), "Retry all now")));
    }), endpoints.length ? null : h("div", { class: "empty" }, h("p", null, "No application has an address for callbacks.")));
  }

  // ── callbacks ──

  function drawCallbacks() {
    if (!known.size) return h("div", { class: "empty" }, h("p", { class: "big" }, "No callbacks."), h("p", null, "They are followed here with every attempt, until the endpoint answers 2xx or 24 hours are over."));
    return h("table", null,
      h("thead", null, h("tr", null, ["Time", "Event", "To", "State", "Attempts", "Due", ""].map((title) => h("th", { scope: "col" }, title || h("span", { class: "unseen" }, "Details"))))),
      h("tbody", null, [...known.values()].map(row)));
  }

  function row(one) {
    const isOpen = open === one.key;
    const toggle = () => { open = isOpen ? null : one.key; opened = null; draw(); if (open) expand(); };
    const main = h("tr", { class: isOpen ? "open" : "", data: { callback: one.key } },
      h("td", { class: "when" }, timeOf(one.time, node.nowIso())),
      h("td", null, h("b", { class: "event" }, one.type), one.errorCode ? h("span", { class: "tag" }, String(one.errorCode)) : null),
      h("td", null, shownNumber(one.to)),
      h("td", null, h("span", { class: `badge ${one.state}` }, one.state)),
      h("td", null, one.attemptCount ? [String(one.attemptCount), h("span", { class: "dim" }, " · last "), answerOf(one.last)] : "none"),
      h("td", { class: "due" }, one.due ? dueOf(one) : ""),
      h("td", { class: "last" }, h("button", { type: "button", class: "icon-button small", data: { key: one.key }, "aria-expanded": String(isOpen), "aria-label": `Details of ${one.type} to ${shownNumber(one.to)}`, onclick: toggle }, icon("down"))));
    main.addEventListener("click", (event) => { if (!event.target.closest("button, a")) toggle(); });
    return isOpen ? [main, h("tr", { class: "detail" }, h("td", { colSpan: 7 }, opened ? detail(opened) : h("p", { class: "dim" }, "…")))] : main;
  }

  /** Says when a callback is tried next; one that is overdue waits for its turn at a failing endpoint. */
  function dueOf(one) {
    const seconds = Math.round((Date.parse(one.due) - node.now()) / 1000);
    if (seconds > 0) return [timeOf(one.due, node.nowIso()), h("span", { class: "dim" }, ` in ${duration(seconds)}`)];
    const failing = endpoints.some((other) => other.failing && other.account === one.account && other.application === one.application && other.direction === one.direction);
    return failing ? h("span", { class: "dim", title: "goes when a probe is answered 2xx, or as a probe itself" }, "overdue") : h("span", { class: "dim" }, "now");
  }

  function detail(one) {
    const retry = () => node.attempt(() => post(`/admin/callbacks/${one.key}/retry`), "It is tried now");
    return h("div", { class: "columns" },
      h("div", null, h("h3", null, many(one.attempts.length, "attempt")),
        h("ol", { class: "attempts", tabIndex: 0, "aria-label": "Attempts" }, one.attempts.map((attempt) => h("li", null, timeOf(attempt.time, node.nowIso()), answerOf(attempt), h("span", { class: "dim" }, `${attempt.milliseconds} ms`)))),
        h("p", { class: "dim" }, UNTIL[one.state] ? [UNTIL[one.state], timeOf(one.expires, node.nowIso()), ". "] : null, h("a", { href: `#/messages/${one.id}` }, "Its message")),
        one.state === "pending" ? h("button", { type: "button", class: "button", data: { key: `retry-${one.key}` }, onclick: retry }, icon("retry"), "Retry this one now") : null),
      h("div", null, h("h3", null, "What was sent"),
        one.url ? [h("p", { class: "url" }, `POST ${one.url}`), h("pre", { tabIndex: 0, "aria-label": "Headers and body" }, `${one.headers.join("\n")}\n\n${one.body}`)] : h("p", { class: "dim" }, "Nothing yet.")));
  }

  // ── the inbox ──

  function drawInbox() {
    if (!received.length) return h("div", { class: "empty" }, h("p", { class: "big" }, "The inbox is empty."), h("p", null, "It is the endpoint of ", h("code", null, "passband dev"), " where no ", h("code", null, "--callback-url"), " is given: it answers 200 to everything."));
    const forget = () => node.attempt(() => remove("/admin/inbox"), "The inbox is empty");
    return [h("ol", { class: "inbox" }, received.map((one) => {
      const [event] = parsed(one.body);
      return h("li", { class: "card" },
        h("details", { data: { key: `inbox-${one.number}` } },
          h("summary", null, timeOf(one.time, node.nowIso()), h("b", null, event?.type ?? "not an event"), h("span", null, event ? shownNumber(event.to) : ""), h("span", { class: "dim clip" }, event?.message?.text || event?.description || "")),
          h("pre", { tabIndex: 0, "aria-label": "Headers and body" }, `${one.headers.join("\n")}\n\n${event ? JSON.stringify(parsed(one.body), null, 2) : one.body}`)));
    })), h("p", null, h("button", { type: "button", class: "button quiet", onclick: forget }, "Empty the inbox"))];
  }

  const ticking = setInterval(() => { if (tab === "callbacks" && [...known.values()].some((one) => one.due)) redraw(); }, 1000);
  load();
  return () => { left = true; clearInterval(ticking); clearTimeout(asking); cancelAnimationFrame(drawing); close(); };
}

function parsed(body) {
  try {
    const events = JSON.parse(body);
    return Array.isArray(events) ? events : [];
  } catch {
    return [];
  }
}
