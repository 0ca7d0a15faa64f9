// Tells of what happens on a page: downloads, links to other sites, how long it was looked at, whatever the site counts. Nothing is sent
// unless the visitor allows tracing at that moment; the server decides once more. Nothing is stored.

/** @typedef {import("./choices.js").Consent} Consent */
/** @typedef {import("./choices.js").Purposes} Purposes */

const here = new URL(import.meta.url);
/** The ids of the purposes that switch tracing. */
const traced = here.searchParams.getAll("for");
// A proxy may have taken the header field away (Global Privacy Control, section "JavaScript Property").
const gpc = navigator.globalPrivacyControl ? "&gpc=1" : "";
const files = /\.(7z|csv|deb|dmg|docx?|epub|exe|gz|mp[34]|od[pst]|pdf|pptx?|xlsx?|zip)$/i;

/** @type {Purposes} */
let purposes = {};
/** Whether that is what holds now. While somebody may have answered elsewhere, nothing is sent. */
let sure = false;
/** @type {Promise<unknown>} */
let known = Promise.resolve();
/** The path of the page that is looked at, since when, and whether it was left. */
let path = "";
let since = 0;
let left = false;

/** @param {string} rest of the address of an endpoint */
const at = (rest) => new URL(`../${rest}`, here);

const isTraced = () => traced.some((id) => purposes[id] === true);

/** @param {Purposes} now */
function adopt(now) {
  purposes = now;
  sure = true;
}

/** Ask the server what holds on this page. Without an answer nothing is sent. */
async function look() {
  sure = false;
  try {
    const address = at(`state?page=${encodeURIComponent(location.pathname)}${gpc}`);
    const reply = await fetch(address, { cache: "no-store" });
    if (!reply.ok) return;
    /** @type {Purposes} */
    const now = (await reply.json()).purposes;
    const changed = Object.keys(purposes).some((id) => purposes[id] !== now[id]);
    // Where choices.js is, it tells of changes itself.
    if (changed && !window.consentChoices) {
      document.dispatchEvent(new CustomEvent("consentchange", { detail: { ...now } }));
    } else adopt(now);
  } catch {}
}

/** @param {string} name @param {object} more */
const written = (name, more) => JSON.stringify({ name, path: location.pathname, ...more });

/** @param {string} name @param {{ purpose?: string, [key: string]: unknown }} more */
async function tell(name, more) {
  const body = written(name, more);
  await known;
  if (!sure || !isTraced() || (more.purpose && purposes[more.purpose] !== true)) return;
  try {
    const headers = { "content-type": "application/json" };
    const reply = await fetch(at("events"), { method: "POST", headers, body, keepalive: true });
    if (reply.status === 403) known = look();
    else if (!reply.ok) console.error(`cookie-consent: ${(await reply.json()).detail}`);
  } catch {}
}

/** @type {import("./window.js").Track} */
export const track = (name, properties, options) => tell(name, { properties, purpose: options?.purpose });

/** A page begins to be looked at. */
function begin() {
  path = location.pathname;
  left = false;
  since = document.hidden ? 0 : performance.now();
}

/** It is in view, perhaps once more: somebody may have answered elsewhere. */
function seen() {
  if (!left) begin();
  if (!window.consentChoices) known = look();
}

/** It ends: at once, as the page may be gone in a moment. That it is hidden is the last that phones tell of it. */
function leave() {
  if (left || !since || !sure || !isTraced()) return;
  left = true;
  const duration_ms = Math.round(performance.now() - since);
  navigator.sendBeacon(at("events"), written("page_leave", { path, duration_ms }));
}

/** The page has become another without a request for it. */
function moved() {
  if (location.pathname === path) return;
  leave();
  begin();
  const campaign = location.search.match(/(?<=[?&])utm_[^&]*/g)?.join("&");
  tell("page_view", { query: campaign?.slice(0, 1024) });
}

/** @param {MouseEvent} event */
function clicked(event) {
  const link = event.composedPath().find((it) => it instanceof HTMLAnchorElement);
  if (!link?.protocol.startsWith("http")) return;
  const isElsewhere = link.origin !== location.origin;
  const address = (isElsewhere ? link.origin : "") + link.pathname;
  if (link.hasAttribute("download") || files.test(address)) track("download", { file: readable(address) });
  else if (isElsewhere && document.querySelector("script[data-outbound]"))
    track("outbound", { to: readable(address) });
}

/** @param {string} address @returns {string} */
function readable(address) {
  try {
    return decodeURI(address).slice(-200);
  } catch {
    return address.slice(-200);
  }
}

// What pages have as `window.consent`: all that choices.js gives, or as much of it as can be had without.
/** @type {Consent & { track?: typeof track }} */
let shown;

/** @param {Consent} given */
function show(given) {
  shown = Object.create(given, { track: { value: track } });
}

/** @param {Consent} whole that of choices.js */
function follow(whole) {
  show(whole);
  known = whole.ready.then(adopt);
}

function start() {
  show({
    allows: (id) => purposes[id] === true,
    get purposes() {
      return { ...purposes };
    },
    on(_, listener) {
      /** @param {CustomEvent<Purposes>} event */
      const heard = (event) => listener(event.detail);
      document.addEventListener("consentchange", heard);
      return () => document.removeEventListener("consentchange", heard);
    },
    show: async () => (await import(at("choices.js").href)).consent.show(),
    get ready() {
      return known.then(() => ({ ...purposes }));
    },
  });
  /** @type {HTMLElement | null} */
  const question = document.querySelector(".pchoice");
  // A page that asks says what holds by itself, so that nothing is requested before an answer.
  if (question) adopt(JSON.parse(question.dataset.state ?? "{}"));
  else known = look();
}

if (window.consentChoices) follow(window.consentChoices);
else start();
// choices.js may come later, and puts its own there.
Object.defineProperty(window, "consent", {
  configurable: true,
  get: () => shown,
  set(given) {
    shown = given;
    if (given === window.consentChoices) follow(given);
  },
});

begin();
document.addEventListener("consentchange", ({ detail }) => {
  const was = isTraced();
  adopt(detail);
  // What was done before the visitor allowed it is not counted.
  if (!was) begin();
});
document.addEventListener("visibilitychange", () => (document.hidden ? leave() : seen()));
addEventListener("pagehide", leave);
addEventListener("pageshow", (event) => {
  // The back button has brought the page as it was: that is another view of it.
  if (event.persisted) {
    left = false;
    seen();
  }
});
addEventListener("click", clicked, true);
if (document.querySelector("script[data-views]")) {
  const { pushState } = history;
  history.pushState = (...given) => {
    pushState.apply(history, given);
    moved();
  };
  addEventListener("popstate", moved);
}
