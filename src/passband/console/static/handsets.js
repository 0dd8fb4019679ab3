// Handsets: virtual phones beside each other. What arrives shows as it arrives; what is typed goes to the application.

import { get, post, remove } from "/console/api.js";
import { clockTime, fill, h, icon, many, shownNumber, timeOf } from "/console/dom.js";

const SAMPLE = "+14085550142";
const LARGEST = 500_000; // octets of a picture; a larger one is made smaller, as handsets do

export function mount(root, node) {
  const phones = new Map(); // by number
  const grid = h("div", { class: "phones" });
  let ours = node.state.numbers;
  let close = () => {};
  let left = false;

  const number = h("input", { id: "new-handset", type: "tel", placeholder: SAMPLE, autocomplete: "off", pattern: "\\+?[0-9]{3,15}" });
  const add = h("form", { class: "row", onsubmit: (event) => { event.preventDefault(); addPhone(number.value.trim() || SAMPLE, true); number.value = ""; } },
    h("label", { class: "unseen", htmlFor: "new-handset" }, "Number of a handset"), number,
    h("button", { class: "button" }, icon("plus"), "Handset"));
  const empty = h("button", { type: "button", class: "button quiet", onclick: forget }, "Empty all");
  const composer = compose(node, () => ours);
  fill(root,
    h("div", { class: "head" }, h("h1", null, "Handsets"), h("span", { class: "grow" }), add, empty),
    composer, grid);

  async function forget() {
    await node.attempt(() => remove("/admin/handsets"), "All handsets are empty");
  }

  function addPhone(name, byHand) {
    let phone = phones.get(name);
    if (!phone) {
      phone = makePhone(name, node, () => ours, () => { phones.delete(name); phone.element.remove(); placeholder(); });
      phones.set(name, phone);
      grid.append(phone.element);
      placeholder();
    }
    if (byHand) phone.focus();
    return phone;
  }

  const nothing = h("div", { class: "empty" },
    h("p", { class: "big" }, "No handset has a message yet."),
    h("p", null, "Send one to any number, here or from your application: it shows up as a phone. Numbers +1 NPA 555 CCCC fail where CCCC is a delivery error code."));
  function placeholder() {
    if (phones.size) nothing.remove();
    else if (!nothing.isConnected) grid.append(nothing);
  }

  async function load() {
    const answer = await get("/admin/handsets");
    if (left) return;
    const known = new Set(answer.handsets.map((one) => one.handset));
    for (const [name, phone] of phones) if (!known.has(name) && phone.count()) { phone.element.remove(); phones.delete(name); }
    for (const one of answer.handsets) addPhone(one.handset).show(one.bubbles);
    placeholder();
    close();
    close = node.follow(answer.live, {
      bubble(bubble) {
        addPhone(bubble.handset).add(bubble);
        if (bubble.direction === "out") node.announce(`${shownNumber(bubble.handset)} got from ${shownNumber(bubble.from)}: ${bubble.text || many(bubble.media.length, "picture")}`);
      },
      "handsets-forgotten"() { for (const phone of phones.values()) phone.element.remove(); phones.clear(); placeholder(); },
      reset: load,
    });
  }
  node.attempt(load);
  return () => { left = true; close(); };
}

// ── what the application sends ─────────────────────────────────────────────────────────────────────────────────────

function compose(node, ours) {
  const [api] = node.state.api;
  if (!api || !ours().length) return null;
  const from = h("select", { id: "send-from" }, ours().map((own) => h("option", { value: own.number }, shownNumber(own.number))));
  const to = h("input", { id: "send-to", type: "text", inputMode: "tel", value: SAMPLE, autocomplete: "off" });
  const text = h("input", { id: "send-text", type: "text", placeholder: "Your table is ready", autocomplete: "off" });
  const send = async (event) => {
    event.preventDefault();
    const numbers = to.value.split(/[\s,;]+/).filter(Boolean);
    await node.attempt(async () => {
      const response = await fetch(`/api/v2/users/${encodeURIComponent(api.account)}/messages`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Basic ${btoa(`${api.user}:${api.password}`)}` },
        body: JSON.stringify({ applicationId: api.application, from: from.value, to: numbers, text: text.value || text.placeholder, tag: "console" }),
      });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.fieldErrors?.[0]?.description ?? answer.description ?? `the API answered ${response.status}`);
      node.toast(`Accepted: ${many(answer.segmentCount, "segment")}, ${answer.to.length > 1 ? "a group" : shownNumber(answer.to[0])}`);
    });
    text.value = "";
    text.focus();
  };
  return h("form", { class: "compose card", onsubmit: send, "aria-label": "Send as the application" },
    h("p", { class: "compose-title" }, "Send as the application", h("span", { class: "dim" }, ", by POST /messages")),
    h("div", { class: "field" }, h("label", { htmlFor: "send-from" }, "From"), from),
    h("div", { class: "field" }, h("label", { htmlFor: "send-to" }, "To (several: a group)"), to),
    h("div", { class: "field wide" }, h("label", { htmlFor: "send-text" }, "Text"), text),
    h("button", { class: "button strong" }, icon("send"), "Send"));
}

// ── one phone ──────────────────────────────────────────────────────────────────────────────────────────────────────

function makePhone(name, node, ours, hide) {
  const threads = new Map(); // by the other ends
  let current = "";
  let pictures = [];
  const id = name.replace(/\W/g, "");
  const tabs = h("div", { class: "threads" });
  const members = h("p", { class: "members", hidden: true });
  const list = h("ol", { class: "bubbles", "aria-label": `Messages of ${shownNumber(name)}`, tabIndex: 0 });
  const text = h("textarea", { id: `text-${id}`, rows: 1, placeholder: "Message", onkeydown: keys, oninput: grow });
  const files = h("input", { id: `files-${id}`, class: "unseen", type: "file", accept: "image/*,video/mp4,audio/*", multiple: true, onchange: attach });
  const previews = h("div", { class: "previews" });
  const to = h("input", { id: `to-${id}`, type: "text", inputMode: "tel", autocomplete: "off" });
  const toRow = h("div", { class: "to" }, h("label", { htmlFor: `to-${id}` }, "To"), to);
  const form = h("form", { class: "reply", onsubmit: (event) => { event.preventDefault(); send(); } },
    toRow, previews,
    h("div", { class: "reply-row" },
      h("label", { class: "icon-button", htmlFor: `files-${id}`, title: "Attach a picture" }, icon("clip"), h("span", { class: "unseen" }, "Attach a picture")), files,
      h("label", { class: "unseen", htmlFor: `text-${id}` }, `Write from ${shownNumber(name)}`), text,
      h("button", { class: "icon-button strong", "aria-label": `Send from ${shownNumber(name)}` }, icon("send"))));
  const element = h("section", { class: "phone", "aria-label": `Handset ${shownNumber(name)}`, data: { handset: name } },
    h("header", null, h("h2", null, shownNumber(name)),
      h("button", { type: "button", class: "icon-button small", "aria-label": `New conversation on ${shownNumber(name)}`, title: "New conversation", onclick: () => choose("new") }, icon("plus")),
      h("button", { type: "button", class: "icon-button small", "aria-label": `Put handset ${shownNumber(name)} away`, title: "Put away", onclick: hide }, icon("close"))),
    h("div", null, tabs, members), list, form);

  // Whoever reads the end sees what comes next, pictures too, which get their height later; whoever reads above stays.
  let atEnd = true;
  const toEnd = () => { list.scrollTop = list.scrollHeight; };
  list.addEventListener("scroll", () => { atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60; });
  list.addEventListener("load", () => { if (atEnd) toEnd(); }, true);

  const keyOf = (bubble) => bubble.others.toSorted().join(" ");
  const isGroup = (key) => key.includes(" ");

  function choose(key) {
    current = key;
    threads.get(key)?.unread.clear();
    toRow.hidden = key !== "new" && threads.size > 0;
    members.hidden = !isGroup(key);
    members.textContent = isGroup(key) ? `with ${key.split(" ").map(shownNumber).join(", ")}` : "";
    if (!toRow.hidden) to.value = ours()[0]?.number ?? "";
    fill(list, (threads.get(key)?.bubbles ?? []).map(draw));
    atEnd = true;
    toEnd();
    showTabs();
    if (key === "new") to.focus();
  }

  function showTabs() {
    const keys = [...threads.keys()];
    tabs.hidden = keys.length < 2 && !(keys.length === 1 && isGroup(keys[0])) && current !== "new";
    fill(tabs, keys.map((key) => h("button", {
      type: "button", class: "thread", "aria-pressed": String(key === current), onclick: () => choose(key),
    }, isGroup(key) ? `Group of ${key.split(" ").length + 1}` : shownNumber(key),
    threads.get(key).unread.size ? h("span", { class: "unread" }, String(threads.get(key).unread.size), h("span", { class: "unseen" }, " new")) : null)));
  }

  function keep(bubble) {
    const key = keyOf(bubble);
    if (!threads.has(key)) threads.set(key, { bubbles: [], unread: new Set() });
    const thread = threads.get(key);
    if (thread.bubbles.some((one) => one.number === bubble.number)) return null;
    thread.bubbles.push(bubble);
    return key;
  }

  function show(bubbles) {
    threads.clear();
    bubbles.forEach(keep);
    choose(threads.has(current) ? current : bubbles.length ? keyOf(bubbles.at(-1)) : "");
  }

  function add(bubble) {
    const key = keep(bubble);
    if (key === null) return;
    if (!current || current === "new" && bubble.direction === "in" || threads.size === 1) choose(key);
    else if (key === current) {
      const follows = atEnd;
      list.append(draw(bubble));
      if (follows) toEnd();
    } else {
      threads.get(key).unread.add(bubble.number);
      showTabs();
    }
  }

  function draw(bubble) {
    const mine = bubble.direction === "in";
    const details = h("div", { class: "details", hidden: true });
    const open = async () => {
      details.hidden = !details.hidden;
      toggle.setAttribute("aria-expanded", String(!details.hidden));
      if (!details.hidden && !details.childElementCount) fill(details, await explained(bubble));
      if (!details.hidden) details.scrollIntoView({ block: "nearest" });
    };
    const toggle = h("button", { type: "button", class: "meta", "aria-expanded": "false", onclick: open },
      clockTime(bubble.time, node.nowIso()), " · ", bubble.kind === "sms" ? many(bubble.segmentCount, "segment") : "MMS");
    return h("li", { class: `bubble ${mine ? "mine" : "theirs"}`, data: { number: bubble.number } },
      bubble.others.length > 1 && !mine ? h("p", { class: "who" }, shownNumber(bubble.from)) : null,
      bubble.media.map((path, index) => picture(path, bubble.mediaUrls[index])),
      bubble.text ? h("p", { class: "words" }, bubble.text) : null,
      toggle, details);
  }

  // ── what is typed ──

  function grow() {
    text.style.height = "auto";
    text.style.height = `${Math.min(text.scrollHeight, 140)}px`;
  }
  function keys(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  }
  async function attach() {
    for (const file of files.files) {
      const smaller = await shrink(file);
      pictures.push({ name: file.name || "picture", contentType: smaller.type || "application/octet-stream", blob: smaller });
    }
    files.value = "";
    showPreviews();
    text.focus();
  }
  function showPreviews() {
    fill(previews, pictures.map((one, index) => {
      const drop = () => { pictures.splice(index, 1); showPreviews(); text.focus(); };
      const address = URL.createObjectURL(one.blob);
      return h("div", { class: "preview" },
        one.contentType.startsWith("image/") ? h("img", { src: address, alt: one.name, onload: () => URL.revokeObjectURL(address) }) : h("span", null, one.name),
        h("button", { type: "button", class: "icon-button small", "aria-label": `Take ${one.name} off`, onclick: drop }, icon("close")));
    }));
  }
  async function send() {
    const fresh = !toRow.hidden;
    const numbers = fresh ? to.value.split(/[\s,;]+/).filter(Boolean) : current.split(" ");
    if (!text.value && !pictures.length) return text.focus();
    const attachments = await Promise.all(pictures.map(async (one) => ({ name: one.name, contentType: one.contentType, data: await base64(one.blob) })));
    const sent = { from: name, to: numbers, text: text.value, attachments };
    if (await node.attempt(() => post("/admin/inbound", sent))) {
      text.value = "";
      pictures = [];
      showPreviews();
      grow();
      text.focus();
    }
  }
  choose("");
  return { element, add, show, focus: () => text.focus(), count: () => threads.size };
}

function picture(path, address) {
  const image = h("img", { src: path, alt: `Picture from ${address}`, title: address, loading: "lazy" });
  const link = h("a", { class: "picture", href: path, target: "_blank", rel: "noopener" }, image);
  image.onerror = () => fill(link, h("span", { class: "file" }, icon("clip"), decodeURIComponent(address.split("/").at(-1)) || "a file"));
  return link;
}

/** What a bubble was on its way: encoding, segments and where it was cut. */
async function explained(bubble) {
  const rows = [["From", shownNumber(bubble.from)], ["To", bubble.to.map(shownNumber).join(", ")]];
  if (bubble.tag) rows.push(["Tag", bubble.tag]);
  let parts = null;
  if (bubble.kind === "sms") {
    const cut = await post("/admin/segments", { text: bubble.text });
    rows.push(["Encoding", cut.encoding === "gsm7" ? "GSM 7-bit" : "UCS-2"], ["Size", `${cut.units} ${cut.unit}`]);
    if (cut.segments.length > 1) parts = h("ol", { class: "parts" }, cut.segments.map((part) => h("li", null, h("span", null, part.text), h("b", null, ` ${part.units}`))));
  } else {
    rows.push(["Media", many(bubble.media.length, "file")]);
  }
  if (bubble.messageId) rows.push(["Message", h("a", { href: `#/messages/${bubble.messageId}` }, "show its way")]);
  return [h("dl", null, rows.map(([term, value]) => h("div", null, h("dt", null, term), h("dd", null, value)))), parts];
}

// ── pictures ───────────────────────────────────────────────────────────────────────────────────────────────────────

async function shrink(file) {
  if (!/^image\/(jpeg|png|webp|bmp)$/.test(file.type) || file.size <= LARGEST) return file;
  const image = await createImageBitmap(file);
  const scale = Math.min(1, 1280 / Math.max(image.width, image.height));
  const canvas = h("canvas", { width: Math.round(image.width * scale), height: Math.round(image.height * scale) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.82));
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
