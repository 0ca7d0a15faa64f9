// Holds scripts, frames, pictures and other content until the purposes that they name are allowed. Pages mark them up in
// our way, or in that of another consent tool; see docs/gated.md. Nothing is stored.

/** @typedef {import("./choices.js").Purposes} Purposes */
/** @typedef {{ createScript(text: string): any, createScriptURL(address: string): any }} Policy */

/** @param {string} name @returns {HTMLScriptElement | null} the tag of a script of ours */
const tag = (name) => document.querySelector(`script[src*="/${name}."]`);

const base = import.meta.url.replace(/\/assets\/[^/]*$/, "");
// A proxy may have taken the header field away (Global Privacy Control, section "JavaScript Property").
const gpc = navigator.globalPrivacyControl ? "&gpc=1" : "";
const own = tag("gated");
const named = ":is([data-purpose],[data-category],[data-name],[data-cookieconsent],.tac_iframe)";
const held = ["src", "srcset", "href", "poster", "data", "cookieblock-src"].map((name) => `data-${name}`);
const isHeld = /^data-(cookieblock-)?(?=(src|srcset|href|poster|data|type)$)/;
const isInert = /^(text.plain|opt-in)$/i;
const runs = /^(|module|.*script)$/i;
const waiting = [
  "div.tac_iframe[data-url]",
  `${named}:is(template,script:is([type="text/plain"],[type=opt-in]))`,
  // The files of a video may stand in elements of their own.
  ...held.map((name) => `:is(${named},:is(video,audio,picture)${named}>*)[${name}]`),
].join();
/** Names in other tools -> ids of purposes. @type {Map<string, string>} */
const map = new Map();
const said = new Set();
/** Scripts whose turn comes or came, and templates that are prepared. @type {WeakSet<Element>} */
const tended = new WeakSet();
/** The ids that something on this page was started for. @type {Set<string>} */
const used = new Set();

/** What holds, once that is known. @type {Purposes} */
let purposes = {};
let isAsked = false;
/** How often this script has asked the server itself. */
let looks = 0;
/** The timer of what changes ask for. */
let due = 0;
/** When the next file may start: among files, browsers keep the order. */
let afterInline = Promise.resolve();
/** When the next inline script may start. */
let afterAll = afterInline;
/** @type {Policy | undefined} */
let policy;

/** Say what a developer has to know, once. @param {unknown} text */
function complain(text) {
  const line = `cookie-consent: ${text}`;
  if (!said.has(line)) console.error(line);
  said.add(line);
}

/** @param {string} names @returns {string[]} */
const words = (names) => names.match(/[^\s,]+/g) ?? [""];

/** @param {string} name as in the page, perhaps with "!" before it */
const idsOf = (name) => words(map.get(name.replace("!", "")) ?? name.replace("!", ""));

/** @param {string} id */
const isPurpose = (id) => typeof purposes[id] === "boolean";

/** What an element waits for, in whichever way it says so. @param {HTMLElement} element */
function needs({ dataset: { purpose, cookieconsent, category, name, service } }) {
  const list = purpose ?? cookieconsent;
  const names = list === undefined ? [category ?? name ?? "iframe"] : words(list);
  // A service counts if it is a purpose of ours, or the site says what it is for.
  return service && !(purposes.necessary && !idsOf(service).every(isPurpose)) ? [...names, service] : names;
}

/** Whether something is for the times when it is not allowed. @param {string[]} names */
const isOff = (names) => names.some((name) => name[0] === "!");

/** Whether it may start now. @param {HTMLElement} element */
function isAllowed(element) {
  const names = needs(/** @type {HTMLElement} */ (element.closest(named)));
  const ids = names.flatMap(idsOf);
  const unknown = names.find((name) => !idsOf(name).every(isPurpose));
  if (unknown !== undefined) {
    const hint = `Say which it is in the tag of gated.js: data-map='{"${unknown}": "…"}'`;
    complain(`"${unknown}" is none of ${Object.keys(purposes)}. ${hint}`);
    return false;
  }
  const isOn = ids.every((id) => purposes[id]);
  if (isOff(names)) return !isOn;
  if (isOn) ids.forEach(used.add, used);
  return isOn;
}

/** What makes code of texts, where a page asks for Trusted Types. @returns {Policy} */
function trust() {
  const { trustedTypes } = /** @type {any} */ (window);
  const plain = { createScript: String, createScriptURL: String };
  try {
    policy ??= trustedTypes.createPolicy("cookie-consent", plain);
  } catch (error) {
    policy = plain;
    // Else the browser knows nothing of it.
    if (trustedTypes) complain(error);
  }
  return /** @type {Policy} */ (policy);
}

/** Give an element what is held. @param {HTMLElement} element @param {HTMLElement} from the same, or what it replaces */
function load(element, from = element) {
  const isCode = /^(script|object|embed)$/i.test(element.tagName);
  if (isInert.test(element.getAttribute("type") ?? "")) element.removeAttribute("type");
  for (const { name, value } of [...from.attributes]) {
    const to = name.replace(isHeld, "");
    if (name === "type" || (to === name && from === element)) continue;
    element.removeAttribute(name);
    if (!/^(src|href|poster|data)$/.test(to)) {
      element.setAttribute(to, value);
      continue;
    }
    const { href, protocol } = new URL(value, document.baseURI);
    // Nothing runs from an address itself.
    if (!/^https?:$/.test(protocol)) throw new Error(`Nothing loads from ${protocol}`);
    element.setAttribute(to, isCode ? trust().createScriptURL(href) : href);
  }
  /** @type {HTMLMediaElement | null} */ (element.closest("video,audio"))?.load();
}

/** Put a frame that waits in the place of tarteaucitron's element. @param {HTMLElement} mark */
function embed(mark) {
  const frame = document.createElement("iframe");
  for (const name of ["class", "title", "width", "height", "data-purpose"]) {
    const value = mark.getAttribute(name);
    if (value !== null) frame.setAttribute(name, value);
  }
  frame.dataset.src = mark.dataset.url;
  mark.replaceWith(frame);
}

/** Put one that runs in its place. @param {HTMLScriptElement} script @param {boolean} isFile */
function run(script, isFile) {
  const fresh = document.createElement("script");
  // Browsers hide it from the attributes.
  const { nonce } = script;
  // What we insert needs none under 'strict-dynamic'. So markup that somebody else got into the page would run.
  if (own?.nonce && nonce !== own.nonce) throw new Error("A script that waits lacks the page's nonce");
  tended.add(fresh);
  load(fresh, script);
  fresh.nonce = nonce;
  fresh.async = fresh.hasAttribute("async");
  if (!isFile) fresh.text = trust().createScript(script.text);
  return new Promise((resolve) => {
    fresh.addEventListener("load", resolve);
    fresh.addEventListener("error", resolve);
    script.replaceWith(fresh);
    // Nobody waits for these, or hears of them.
    if (fresh.async || fresh.noModule || !fresh.src || !runs.test(fresh.type)) resolve(0);
  });
}

/** Start what may start. @param {HTMLElement} element @param {() => unknown} how */
async function attempt(element, how) {
  try {
    // It may be gone by now, or no longer allowed.
    if (element.isConnected && isAllowed(element)) await how();
  } catch (error) {
    complain(error);
  }
}

/** @param {HTMLScriptElement} script */
function queue(script) {
  const isFile = script.matches("[src],[data-src],[data-cookieblock-src]");
  const turn = (isFile ? afterInline : afterAll).then(() => {
    if (!script.isConnected) tended.delete(script);
    return attempt(script, () => run(script, isFile));
  });
  tended.add(script);
  if (!isFile) afterInline = turn;
  afterAll = afterAll.then(() => turn);
}

/** Let the scripts in it wait by themselves, so that they start in order. @param {HTMLTemplateElement} template */
function prepare(template) {
  tended.add(template);
  // A card may show it once, without an answer.
  if (template.previousElementSibling?.matches(".pchoice-box[id]")) return;
  // Ids of ours: choices.js, too, puts the content of templates in their place.
  const names = needs(template);
  const purpose = (isOff(names) ? "!" : "") + names.flatMap(idsOf).join(" ");
  template.dataset.purpose = purpose;
  for (const script of template.content.querySelectorAll("script")) {
    if (!(script instanceof HTMLScriptElement && runs.test(script.type))) continue;
    if (script.type) script.dataset.type = script.type;
    script.type = "text/plain";
    script.dataset.purpose = purpose;
  }
}

/** Start whatever waits and may start. */
function tend() {
  for (const element of document.querySelectorAll(waiting)) {
    if (!isAsked) learn();
    isAsked = true;
    const isTemplate = element instanceof HTMLTemplateElement;
    if (isTemplate && !tended.has(element)) prepare(element);
    if (element.matches("div.tac_iframe")) embed(/** @type {HTMLElement} */ (element));
    // Nothing of SVG. And nothing is known before the server has said it.
    if (!(element instanceof HTMLElement && purposes.necessary)) continue;
    if (isTemplate) attempt(element, () => element.replaceWith(element.content));
    else if (element instanceof HTMLScriptElement) {
      if (!tended.has(element) && isAllowed(element)) queue(element);
    } else attempt(element, () => load(element));
  }
}

/** Go by what holds now. @param {Purposes} now @param {boolean} [isClosed] whether the page may not load what came */
function adopt(now, isClosed) {
  const came = Object.keys(now).some((id) => now[id] && purposes[id] === false);
  purposes = now;
  // Tags that come run after their vendors are told.
  window.consentSignals?.(now);
  // What runs already cannot be stopped in place.
  if ((isClosed && came) || [...used].some((id) => !now[id])) location.reload();
  else tend();
}

/** Ask the server what holds on this page. */
async function look() {
  const number = ++looks;
  try {
    const address = `${base}/state?page=${encodeURIComponent(location.pathname)}${gpc}`;
    const reply = await fetch(address);
    if (!reply.ok) throw reply;
    const state = await reply.json();
    // Replies may come in another order.
    if (number === looks) adopt(state.purposes, state.reloads);
  } catch {
    complain(`no answer from ${base}/state. Let it pass policies, workers and proxies`);
  }
}

/** Ask the server, and again when somebody may have answered. */
function follow() {
  if (looks) return;
  /** @type {BroadcastChannel | undefined} */
  let channel;
  const listen = () => {
    look();
    try {
      channel = new BroadcastChannel(base);
      channel.onmessage = look;
      // Unknown to old browsers, forbidden by Firefox where cookies are.
    } catch {}
  };
  listen();
  // An open channel keeps some browsers from keeping the page for the back button.
  addEventListener("pagehide", () => channel?.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
  document.addEventListener("visibilitychange", () => document.hidden || look());
}

/** Find out what holds, from the script that knows where the page has it. */
async function learn() {
  const choices = tag("choices");
  try {
    const known = window.consent?.purposes ? window : choices && (await import(choices.src));
    if (known) return adopt(await known.consent.ready);
  } catch {}
  follow();
}

try {
  for (const [name, id] of Object.entries(JSON.parse(own?.dataset.map || "{}"))) map.set(name, `${id}`);
} catch (error) {
  complain(`data-map: ${error}`);
}
document.addEventListener("consentchange", ({ detail }) => (looks ? look() : adopt(detail)));
tend();
// Once for many changes: each script that starts is one.
new MutationObserver(() => {
  clearTimeout(due);
  due = setTimeout(tend);
}).observe(document, { childList: true, subtree: true, attributeFilter: held });

export {};
