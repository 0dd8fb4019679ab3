// The frame of all pages: which one is shown, the node's clock, the state of the link, the colours.

import { follow, get, onLink, post } from "/console/api.js";
import { clockTime, duration, fill, h, icon } from "/console/dom.js";

const PAGES = {
  handsets: { title: "Handsets", icon: "phone", developers: true },
  messages: { title: "Messages", icon: "path" },
  callbacks: { title: "Callbacks", icon: "bell" },
  faults: { title: "Faults", icon: "bolt", developers: true },
  clock: { title: "Clock", icon: "clock", developers: true },
  segments: { title: "Segments", icon: "cut" },
  numbers: { title: "Numbers", icon: "chart" },
};

const element = (id) => document.getElementById(id);

/** What every page gets: the node's state, its time, and ways to speak to people. */
export const node = {
  state: null,
  skew: 0,
  /** The node's time in milliseconds; it may have been moved. */
  now: () => Date.now() + node.skew,
  nowIso: () => new Date(node.now()).toISOString(),
  setTime(state) {
    node.skew = Date.parse(state.time) - Date.now();
    if (node.state) node.state.offset = state.offset;
    showNow();
  },
  toast(text, kind = "fine") {
    const toast = h("div", { class: `toast ${kind}` }, text);
    element("toasts").append(toast);
    setTimeout(() => toast.remove(), kind === "bad" ? 8000 : 4000);
  },
  announce(text) {
    const line = h("p", null, text);
    element("announce").append(line);
    setTimeout(() => line.remove(), 5000);
  },
  /** Does something that may fail; says why if it does. Returns whether it went well. */
  async attempt(work, done) {
    try {
      await work();
    } catch (error) {
      node.toast(error.message, "bad");
      return false;
    }
    if (done) node.toast(done);
    return true;
  },
  async advance(seconds) {
    await node.attempt(async () => node.setTime(await post("/admin/clock", { advance: seconds })), `${duration(seconds)} have passed`);
  },
  follow(cursor, handlers) {
    return follow(cursor, { clock: node.setTime, ...handlers });
  },
};

// ── the page ───────────────────────────────────────────────────────────────────────────────────────────────────────

let leave = () => {};
let turn = 0;

const here = () => Object.entries(PAGES).filter(([, page]) => !page.developers || node.state.edition === "developers");

function showNav(current) {
  fill(
    element("nav"),
    h("ul", null, here().map(([name, page]) =>
      h("li", null, h("a", { href: `#/${name}`, "aria-current": name === current ? "page" : null }, icon(page.icon), h("span", null, page.title))))),
  );
}

async function show() {
  const [, wanted = "", argument = ""] = /^#\/([^/]*)\/?(.*)$/.exec(location.hash) ?? [];
  const pages = here();
  const name = pages.some(([one]) => one === wanted) ? wanted : pages[0][0];
  const mine = ++turn;
  leave();
  leave = () => {};
  showNav(name);
  document.title = `${PAGES[name].title} · Passband`;
  const main = element("page");
  const page = await import(`/console/${name}.js`);
  if (mine !== turn) return;
  const root = h("div", { class: `page ${name}` });
  fill(main, root);
  main.scrollTo?.(0, 0);
  leave = page.mount(root, node, decodeURIComponent(argument)) ?? (() => {});
  if (moved) main.focus({ preventScroll: true });
  moved = true;
}
let moved = false;

// ── the header ─────────────────────────────────────────────────────────────────────────────────────────────────────

function showNow() {
  const now = element("now");
  const offset = node.state?.offset ?? 0;
  const text = clockTime(node.nowIso(), new Date().toISOString());
  fill(now, h("span", { class: "time" }, text), offset ? h("span", { class: "offset" }, `+${duration(offset)}`) : null);
  now.setAttribute("aria-label", `The node's time is ${text}${offset ? `, moved by ${duration(offset)}` : ""}`);
}

const SCHEMES = [
  ["", "half", "as the system"],
  ["light", "sun", "light"],
  ["dark", "moon", "dark"],
];

function setScheme(name) {
  const [scheme, drawing, words] = SCHEMES.find(([one]) => one === name) ?? SCHEMES[0];
  if (scheme) document.documentElement.dataset.scheme = scheme;
  else delete document.documentElement.dataset.scheme;
  const button = element("theme");
  fill(button, icon(drawing));
  button.setAttribute("aria-label", `Colours: ${words}`);
  button.title = `Colours: ${words}`;
  try {
    localStorage.setItem("scheme", scheme);
  } catch {
    // private windows may refuse; then it lasts as long as the page
  }
}

function storedScheme() {
  try {
    return localStorage.getItem("scheme") ?? "";
  } catch {
    return "";
  }
}

element("theme").addEventListener("click", () => {
  const current = document.documentElement.dataset.scheme ?? "";
  const at = SCHEMES.findIndex(([one]) => one === current);
  setScheme(SCHEMES[(at + 1) % SCHEMES.length][0]);
});
setScheme(storedScheme());

const LINK = { live: "live", lost: "no connection" };
onLink((state) => {
  element("link").className = `link ${state}`;
  element("link").querySelector(".label").textContent = LINK[state];
});

async function start() {
  for (;;) {
    try {
      node.state = await get("/admin/state");
      break;
    } catch {
      element("link").className = "link lost";
      element("link").querySelector(".label").textContent = LINK.lost;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
  node.setTime(node.state);
  const developers = node.state.edition === "developers";
  element("edition").textContent = developers ? "developers' edition" : "production";
  element("now").hidden = !developers;
  setInterval(showNow, 1000);
  addEventListener("hashchange", show);
  // Followed as a link it would be the address of another page, and the one that is open would be left.
  element("skip").addEventListener("click", (event) => { event.preventDefault(); element("page").focus(); });
  await show();
}

start();
