// The clock: time passes at a click, and everything that depends on it follows.

import { get } from "/console/api.js";
import { clockTime, duration, fill, h, icon, many, shownNumber, timeOf } from "/console/dom.js";

const JUMPS = [[60, "1 minute"], [3600, "1 hour"], [86400, "24 hours"]];

export function mount(root, node) {
  let close = () => {};
  let left = false;
  const face = h("p", { class: "face" });
  const date = h("p", { class: "dim" });
  const due = h("div");
  const amount = h("input", { id: "amount", type: "number", min: 1, step: "any", value: "15" });
  const unit = h("select", { id: "unit" }, [["60", "minutes"], ["1", "seconds"], ["3600", "hours"], ["86400", "days"]].map(([value, words]) => h("option", { value }, words)));
  const jump = async (event, seconds) => {
    const button = event.submitter ?? event.currentTarget;
    button.disabled = true;
    await node.advance(seconds);
    button.disabled = false;
    button.focus();
    load();
  };
  fill(root,
    h("div", { class: "head" }, h("h1", null, "Clock")),
    h("section", { class: "card clockface", "aria-label": "The node's time" }, face, date,
      h("div", { class: "jumps" }, JUMPS.map(([seconds, words]) => h("button", { type: "button", class: "button strong", onclick: (event) => jump(event, seconds) }, icon("plus"), words))),
      h("form", { class: "row", onsubmit: (event) => { event.preventDefault(); jump(event, Number(amount.value) * Number(unit.value)); } },
        h("label", { class: "unseen", htmlFor: "amount" }, "How much"), amount, h("label", { class: "unseen", htmlFor: "unit" }, "of what"), unit, h("button", { class: "button" }, "Let pass"))),
    h("div", { class: "columns" }, h("section", { class: "card", "aria-labelledby": "due" }, h("h2", { id: "due" }, "Due next"), due),
    h("section", { class: "card", "aria-labelledby": "follows" }, h("h2", { id: "follows" }, "What follows the clock"),
      h("ul", { class: "plain spaced" },
        h("li", null, h("b", null, "Retries"), " of callbacks, after 5 s, 15 s, 1 min, 5 min, 15 min, then every 30 min. A jump is made in those steps, so every one of them happens."),
        h("li", null, h("b", null, "Expiry"), " of callbacks after 24 hours, and of messages whose expiration passes while they wait."),
        h("li", null, h("b", null, "Receipt windows"), ": who gets no receipt in time fails with 9902."),
        h("li", null, h("b", null, "Media"), " go after 48 hours.")))));

  function tick() {
    fill(face, clockTime(node.nowIso()));
    const offset = node.state.offset;
    date.textContent = `${new Date(node.now()).toLocaleDateString(undefined, { dateStyle: "full" })}${offset ? `, ${duration(offset)} ahead of the wall` : ""}`;
  }

  async function load() {
    await node.attempt(async () => {
      const answer = await get("/admin/callbacks?state=pending&limit=200");
      if (left) return;
      const waiting = answer.callbacks.filter((one) => one.due).sort((a, b) => (a.due < b.due ? -1 : 1));
      fill(due, waiting.length
        ? h("ul", { class: "plain spaced" }, waiting.slice(0, 10).map((one) => h("li", null, Date.parse(one.due) > node.now() ? timeOf(one.due, node.nowIso()) : h("span", { class: "dim" }, "overdue"), " ", h("a", { href: `#/callbacks/${one.key}` }, one.type), ` to ${shownNumber(one.to)}, attempt ${one.attemptCount + 1}`)))
        : h("p", { class: "dim" }, "No callback waits."),
      waiting.length > 10 ? h("p", { class: "dim" }, `and ${many(waiting.length - 10, "other")}`) : null);
      close();
      close = node.follow(answer.live, { callback: soon, "messages-forgotten": load, reset: load });
    });
  }
  let waiting = 0;
  function soon() {
    waiting ||= setTimeout(() => { waiting = 0; load(); }, 500);
  }

  tick();
  const ticking = setInterval(tick, 250);
  load();
  return () => { left = true; clearInterval(ticking); clearTimeout(waiting); close(); };
}
