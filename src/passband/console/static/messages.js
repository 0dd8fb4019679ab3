// Messages in flight: what is where on the path, live, with every state that it went through.

import { get, query } from "/console/api.js";
import { duration, fill, h, icon, many, shownNumber, timeOf } from "/console/dom.js";

const STATIONS = [
  ["queued", "Queued", "waits for its carrier"],
  ["sending", "Sending", "is with the carrier's link"],
  ["handed", "Handed", "the carrier has it, a receipt is awaited"],
  ["callback-pending", "Callback pending", "the application is still to be told"],
];
const STATES = [
  ["", "all"], ["in-flight", "in flight"], ...STATIONS.map(([name, title]) => [name, title.toLowerCase()]),
  ["done", "done"], ["delivered", "delivered"], ["failed", "failed"],
];
const SHOWN = 200;

export const stateName = (state) => STATIONS.find(([name]) => name === state)?.[1] ?? { done: "Done", delivered: "Delivered", failed: "Failed", received: "Received" }[state] ?? state;

export function mount(root, node, argument) {
  const developers = node.state.edition === "developers";
  let known = new Map(); // by key, newest first
  let stored = [];
  let open = null;
  let close = () => {};
  let left = false;
  let drawing = 0;
  let counts = {};
  let asking = 0;

  const search = h("input", { id: "search", type: "search", placeholder: "number, id or tag", autocomplete: "off", value: argument, oninput: later });
  const state = h("select", { id: "state", onchange: load }, STATES.map(([value, words]) => h("option", { value }, words)));
  const stations = h("div", { class: "stations" });
  const table = h("div", { class: "table messages-table", role: "region", "aria-label": "Messages", tabIndex: 0 });
  const note = h("p", { class: "dim note" });
  fill(root,
    h("div", { class: "head" }, h("h1", null, "Messages in flight"), h("span", { class: "grow" }),
      h("form", { class: "row", role: "search", onsubmit: (event) => { event.preventDefault(); load(); } },
        h("label", { class: "unseen", htmlFor: "search" }, "Number, id or tag"), search,
        h("label", { class: "unseen", htmlFor: "state" }, "State"), state)),
    stations, table, note);

  let waiting;
  function later() {
    clearTimeout(waiting);
    waiting = setTimeout(load, 200);
  }

  const wanted = () => {
    const text = search.value.trim();
    if (/^\d{13}[a-z2-7]*$/.test(text) || /^[0-9a-f]{8}-/.test(text)) return { id: text };
    return /^[+\d]/.test(text) ? { number: text.replace(/\s/g, "") } : { tag: text };
  };

  function fits(message) {
    const { id = "", number = "", tag = "" } = wanted();
    return (!id || message.id.includes(id)) && (!number || message.to.includes(number) || message.from.includes(number)) && (!tag || (message.tag ?? "").includes(tag)) &&
      (!state.value || state.value === message.state || state.value === message.result || (state.value === "in-flight" && message.state !== "done"));
  }

  async function load() {
    await node.attempt(async () => {
      const answer = await get(`/admin/messages${query({ ...wanted(), state: state.value, limit: SHOWN })}`);
      if (left) return;
      known = new Map(answer.messages.map((message) => [message.key, message]));
      ({ stored, counts } = answer);
      if (argument && known.size) { open = [...known.keys()][0]; argument = ""; }
      note.textContent = answer.skipped ? `${many(answer.skipped, "message")} came too fast to be followed one by one.` : "";
      close();
      close = node.follow(answer.live, {
        message(message) {
          if (!fits(message)) known.delete(message.key);
          else if (known.has(message.key)) known.set(message.key, message);
          else known = new Map([[message.key, message], ...[...known].slice(0, SHOWN - 1)]);
          redraw();
          askCounts();
        },
        "messages-forgotten": load,
        reset: load,
      });
      draw();
    });
  }

  // The stations tell of all messages that are followed, not only of those which are shown.
  function askCounts() {
    asking ||= setTimeout(async () => {
      asking = 0;
      try {
        ({ counts } = await get("/admin/messages?limit=1"));
      } catch {
        return; // the header says that there is no connection
      }
      if (!left) redraw();
    }, 300);
  }

  function redraw() {
    drawing ||= requestAnimationFrame(() => { drawing = 0; draw(); });
  }

  function draw() {
    if (left) return;
    const focused = document.activeElement?.dataset?.key;
    const messages = [...known.values()];
    fill(stations, STATIONS.map(([name, title, words]) => {
      const count = counts[name] ?? 0;
      const choose = () => { state.value = state.value === name ? "" : name; load(); };
      return h("button", { type: "button", class: `station ${name} ${count ? "busy" : ""}`, data: { key: `station-${name}` }, title: words, "aria-pressed": String(state.value === name), onclick: choose },
        h("span", { class: "count" }, count.toLocaleString("en")), h("span", null, title));
    }));
    fill(table, messages.length ? h("table", null,
      h("thead", null, h("tr", null, ["Time", "From", "To", "Way", "State", ""].map((title) => h("th", { scope: "col" }, title || h("span", { class: "unseen" }, "Details"))))),
      h("tbody", null, messages.map((message) => row(message)))) : null,
    messages.length || stored.length ? null : h("div", { class: "empty" }, h("p", { class: "big" }, search.value || state.value ? "Nothing fits." : "Nothing is on its way."),
      h("p", null, developers ? "Messages show up here the moment they are accepted or come in." : "Messages are followed from the moment somebody looks; an id or number also finds what the store holds.")),
    stored.length ? storedTable(stored) : null);
    if (focused) root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  function row(message) {
    const isOpen = open === message.key;
    const toggle = () => { open = isOpen ? null : message.key; draw(); };
    const main = h("tr", { class: isOpen ? "open" : "", data: { id: message.id } },
      h("td", { class: "when" }, timeOf(message.time, node.nowIso())),
      h("td", null, shownNumber(message.from)),
      h("td", null, shownNumber(message.to), message.recipients ? h("span", { class: "tag" }, `group of ${message.recipients.length}`) : null),
      h("td", null, h("span", { class: "states" }, h("span", { class: "tag" }, message.direction === "in" ? "in" : "out"), h("span", { class: "tag size" }, message.kind === "mms" ? "MMS" : many(message.segmentCount, "segment")), message.tag ? h("span", { class: "tag own" }, message.tag) : null)),
      h("td", null, badge(message)),
      h("td", { class: "last" }, h("button", { type: "button", class: "icon-button small", data: { key: message.key }, "aria-expanded": String(isOpen), "aria-label": `Details of the message to ${shownNumber(message.to)}`, onclick: toggle }, icon("down"))));
    main.addEventListener("click", (event) => { if (!event.target.closest("button, a")) toggle(); });
    return isOpen ? [main, h("tr", { class: "detail" }, h("td", { colSpan: 6 }, detail(message, node)))] : main;
  }

  load();
  return () => { left = true; clearTimeout(waiting); clearTimeout(asking); cancelAnimationFrame(drawing); close(); };
}

export function badge(message) {
  const end = message.result || message.state;
  const words = message.result ? `${stateName(message.result)}${message.errorCode ? ` ${message.errorCode}` : ""}` : stateName(message.state);
  return h("span", { class: "states" }, h("span", { class: `badge ${end}` }, words),
    message.result && message.state === "callback-pending" ? h("span", { class: "badge callback-pending" }, "Callback pending") : null);
}

function detail(message, node) {
  const start = Date.parse(message.time);
  return h("div", { class: "columns" },
    h("div", null, h("h2", { class: "minor" }, "State history"),
      h("ol", { class: "timeline" }, message.history.map((step) => h("li", { class: step.state },
        h("span", { class: "step" }, stateName(step.state)),
        h("span", { class: "dim" }, ` ${step.detail}`),
        h("span", { class: "at" }, timeOf(step.time, node.nowIso()), ` +${duration((Date.parse(step.time) - start) / 1000)}`))))),
    h("div", null, h("h2", { class: "minor" }, "Callbacks"),
      message.callbacks.length ? h("ul", { class: "plain" }, message.callbacks.map((one) => h("li", null,
        h("a", { href: `#/callbacks/${one.key}` }, one.type), " ", h("span", { class: `badge ${one.state}` }, one.state), " ",
        h("span", { class: "dim" }, many(one.attemptCount, "attempt"))))) : h("p", { class: "dim" }, message.result ? "None was asked for." : "None yet."),
      h("dl", { class: "facts" }, [
        ["Id", h("code", null, message.id)], ["Account", message.account], ["Application", message.application], ["Carrier", message.carrier],
        ["Tag", message.tag], ["Priority", message.priority], ["Failed with", message.errorCode && `${message.errorCode} ${message.description}`], ["Text", message.text],
        ["Media", message.media && message.media.join("\n")],
      ].filter(([, value]) => value).map(([term, value]) => h("div", null, h("dt", null, term), h("dd", null, value))))));
}

function storedTable(found) {
  return h("table", null, h("caption", null, "Found in the store"),
    h("thead", null, h("tr", null, ["Id", "From", "To", "Status", "Carrier"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", null, found.map((one) => h("tr", null, h("td", null, h("code", null, one.id)), h("td", null, shownNumber(one.source)), h("td", null, shownNumber(one.destination)), h("td", null, h("span", { class: "badge" }, one.status.toLowerCase())), h("td", null, one.carrier ?? "", named(one.carrier_refs))))));
}

// What the carrier calls the segments whose receipts are awaited: that is what one quotes to it.
function named(refs) {
  return refs.length ? h("span", { class: "dim" }, " as ", refs.map((one, place) => [
    place ? ", " : "", h("code", null, one.ref), one.segment ? ` (segment ${one.segment})` : "",
  ])) : null;
}
