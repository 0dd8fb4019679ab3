// Segments: what a text is counted as, which characters cost, and where it is cut.

import { post } from "/console/api.js";
import { fill, h, many } from "/console/dom.js";

const SAMPLES = [
  ["Plain", "Your table for two is ready. Please come to the desk within 15 minutes, or reply NO to give it up."],
  ["One character too many", "Your table for two is ready – please come to the desk within 15 minutes. Reply NO to give it up."],
  ["Long", "Good evening! Your table for two is ready, and the kitchen sends its regards. Please come to the desk within 15 minutes; after that we have to give it to the next guests. Today's menu costs 45 € with wine, 35 € without. Reply NO to give the table up, or LATE for another quarter of an hour."],
  ["Emoji", "Your table is ready 🎉🍝"],
];

export function mount(root, node) {
  let left = false;
  let waiting = 0;
  let turn = 0;
  const text = h("textarea", { id: "text", rows: 6, oninput: later, spellcheck: false });
  const result = h("div", { class: "result", "aria-live": "polite", "aria-atomic": "false" });
  fill(root,
    h("div", { class: "head" }, h("h1", null, "Segments")),
    h("div", { class: "card" }, h("label", { htmlFor: "text", class: "block" }, "Text of a message"), text,
      h("div", { class: "ready" }, SAMPLES.map(([title, sample]) => h("button", { type: "button", class: "button", onclick: () => { text.value = sample; explain(); } }, title)))),
    result);

  function later() {
    clearTimeout(waiting);
    waiting = setTimeout(explain, 80);
  }

  async function explain() {
    const mine = ++turn;
    let cut;
    try {
      cut = await post("/admin/segments", { text: text.value });
    } catch (error) {
      if (mine === turn) fill(result, h("p", { class: "bad" }, error.message));
      return;
    }
    if (!left && mine === turn) fill(result, summary(cut), cut.characters ? [segments(cut), costly(cut)] : null);
  }

  text.value = SAMPLES[2][1];
  explain();
  const close = node.follow("", {}); // nothing to see live; the header tells whether the node is there
  return () => { left = true; clearTimeout(waiting); close(); };
}

function summary(cut) {
  const gsm = cut.encoding === "gsm7";
  return h("section", { class: "card summary", "aria-label": "Result" },
    h("div", { class: "figure" }, h("b", null, String(cut.segmentCount)), h("span", null, cut.segmentCount === 1 ? "segment" : "segments")),
    h("div", { class: "figure" }, h("b", null, gsm ? "GSM 7-bit" : "UCS-2"), h("span", null, `${cut.perSegment} ${cut.unit} each`)),
    h("div", { class: "figure" }, h("b", null, String(cut.units)), h("span", null, cut.unit)),
    h("div", { class: "figure" }, h("b", null, String(cut.characters)), h("span", null, "characters")),
    cut.characters && !cut.sendable ? h("p", { class: "bad" }, "This text cannot be sent (4301): it holds the escape character or half a surrogate pair.") : null);
}

function segments(cut) {
  const forcing = new Set(cut.forcing.map((one) => one.character));
  const double = new Set(cut.double.map((one) => one.character));
  return h("section", { class: "card", "aria-labelledby": "cuts" }, h("h2", { id: "cuts" }, cut.segmentCount === 1 ? "As it is sent" : "Where it is cut"),
    h("ol", { class: "cuts" }, cut.segments.map((part, index) => {
      const bar = h("span", { class: "fill" });
      bar.style.inlineSize = `${Math.min(100, (100 * part.units) / cut.perSegment)}%`;
      return h("li", null,
        h("p", { class: "cut-head" }, h("b", null, `Segment ${index + 1}`), h("span", { class: "dim" }, `${part.units} of ${cut.perSegment}`)),
        h("span", { class: "meter", "aria-hidden": "true" }, bar),
        h("p", { class: "words" }, [...part.text].map((character) => forcing.has(character) ? h("mark", { class: "forcing" }, character) : double.has(character) ? h("mark", { class: "double" }, character) : character)));
    })));
}

function costly(cut) {
  const table = (title, words, found) => found.length ? h("section", { class: "card" }, h("h2", null, title), h("p", { class: "dim" }, words),
    h("div", { class: "table", role: "region", "aria-label": title, tabIndex: 0 }, h("table", null,
      h("thead", null, h("tr", null, ["Character", "Code point", "Name", "How often"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", null, found.map((one) => h("tr", null, h("td", null, h("span", { class: "glyph" }, one.character)), h("td", null, h("code", null, one.codePoint)), h("td", null, one.name.toLowerCase()), h("td", null, many(one.count, "time")))))))) : null;
  return [
    table("Characters that force UCS-2", "Without them the text would be GSM 7-bit: 160 characters a segment instead of 70.", cut.forcing),
    table("Characters that cost double", "They are in GSM's extension table and take two septets.", cut.double),
  ];
}
