// Sends the answer without a reload, and does at once what it allows. Without this script the forms work as forms do.

/** @typedef {Record<string, boolean>} Purposes purpose id -> whether it is allowed */
/** @typedef {{ purposes: Purposes, should_ask: boolean, decided_at: string | null }} State what the server answers */

const base = import.meta.url.replace(/\/assets\/[^/]*$/, "");
const json = "application/json";
const changes = new EventTarget();
const status = document.createElement("p");

/** @type {Purposes} */
let purposes = {};
/** @type {HTMLElement | null} where the focus was when the banner was called for */
let opener = null;
let busy = false;

/** @param {string} selector */
const all = (selector) => /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(selector));

const banner = () => all(".pchoice").item(0);

/** @param {string} id */
const allows = (id) => purposes[id] === true;

/** @param {HTMLElement} element */
const needs = (element) => element.dataset.purpose?.match(/\S+/g) ?? [""];

/** @param {HTMLElement} element */
const allowed = (element) => needs(element).every(allows);

/** Whether a template waits for what this box offers to allow. @param {HTMLElement} box */
const awaited = (box) => [...all("template")].some((template) => `${needs(template)}` === `${needs(box)}`);

/** Put what is allowed in the place of its template, and take away the boxes that stood for it. */
function activate() {
  for (const box of all(".pchoice-box")) {
    if (allowed(box) && awaited(box)) box.remove();
  }
  for (const template of /** @type {NodeListOf<HTMLTemplateElement>} */ (all("template"))) {
    if (allowed(template)) template.replaceWith(template.content);
  }
}

/** The answer as the server wants it. @param {HTMLFormElement} form @param {HTMLElement | null} button */
function written(form, button) {
  const { choice, policy, source, language, service } = Object.fromEntries(new FormData(form, button));
  const inputs = /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("[name=purpose]"));
  const chosen = [...inputs].map((input) => [input.value, input.type === "hidden" || input.checked]);
  const some = choice === "save" || choice === "grant";
  return JSON.stringify({
    choice,
    policy,
    source,
    language,
    service,
    purposes: some ? Object.fromEntries(chosen) : undefined,
  });
}

/** What the server says that holds on this page. @returns {Promise<State | undefined>} */
async function look() {
  try {
    const address = `${base}/state?page=${encodeURIComponent(location.pathname)}`;
    const reply = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (reply.ok) return await reply.json();
  } catch {}
}

/**
 * The server's answer, or the status of its refusal: 0 where it cannot be reached, or the browser kept no cookie.
 * @param {HTMLFormElement} form @param {HTMLElement | null} button @returns {Promise<State | number>}
 */
async function send(form, button) {
  try {
    const reply = await fetch(form.action, {
      method: "POST",
      headers: { accept: json, "content-type": json },
      body: written(form, button),
      signal: AbortSignal.timeout(10000),
    });
    if (!reply.ok) return reply.status;
    const state = await reply.json();
    const kept = await look();
    return kept && kept.decided_at !== state.decided_at ? 0 : state;
  } catch {
    return 0;
  }
}

/** The answer is kept: do what it says. @param {HTMLElement} section @param {State} state */
function settle(section, state) {
  const focused = section.contains(document.activeElement);
  purposes = state.purposes;
  section.remove();
  if (!state.should_ask) banner()?.remove();
  activate();
  // Why the others are off has changed too. Their place stays, so that nothing moves.
  for (const reason of all(".pchoice-box .pchoice-why")) reason.style.visibility = "hidden";
  if (focused) {
    const target = opener ?? all("main").item(0) ?? document.body;
    if (target !== opener) target.tabIndex = -1;
    target.focus({ preventScroll: true });
  }
  status.textContent = section.dataset.kept ?? "";
  changes.dispatchEvent(new CustomEvent("change", { detail: { ...purposes } }));
}

/** @param {SubmitEvent} event */
async function submitted(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const section = /** @type {HTMLElement | null} */ (form.closest(".pchoice, .pchoice-box"));
  // What the server left out of the page comes with the page that the form leads to.
  if (!section || (section !== banner() && !awaited(section)) || "stale" in section.dataset) return;
  event.preventDefault();
  if (busy) return;
  busy = true;
  const alert = /** @type {HTMLElement} */ (form.querySelector("[role=alert]"));
  for (const old of all(".pchoice-alert")) old.textContent = "";
  status.lang = section.lang;
  status.dir = section.dir;
  document.body.append(status);
  const state = await send(form, event.submitter);
  busy = false;
  if (typeof state !== "number") return settle(section, state);
  const { failed, changed } = section.dataset;
  // Asked again about another policy: the next answer goes to the server's own page, which shows it.
  if (state === 409) section.dataset.stale = "";
  alert.textContent = (state === 409 ? changed : failed) ?? "";
}

/** Ask again: here, or on the settings page. */
function show() {
  const question = banner();
  if (!question)
    return location.assign(`${base}?next=${encodeURIComponent(location.pathname + location.search)}`);
  opener = /** @type {HTMLElement} */ (document.activeElement);
  question.hidden = false;
  question.tabIndex = -1;
  question.focus();
}

/** What holds now. A page that asks says it by itself, so that nothing is requested before an answer. */
async function load() {
  const state = banner()?.dataset.state;
  purposes = state ? JSON.parse(state) : ((await look())?.purposes ?? {});
  // Who keeps no cookies cannot be asked: no answer would last.
  if (!navigator.cookieEnabled) banner()?.remove();
  activate();
  new MutationObserver(activate).observe(document, { childList: true, subtree: true });
  return { ...purposes };
}

/** Back on a page that the browser kept as it was: an answer on another page may have come in between. */
async function returned(/** @type {PageTransitionEvent} */ event) {
  const state = event.persisted && (await look());
  if (!state) return;
  const differs = Object.entries(state.purposes).some(([id, value]) => allows(id) !== value);
  if (differs || (banner() && !state.should_ask)) location.reload();
}

function start() {
  status.className = "pchoice-status";
  status.setAttribute("role", "status");
  // The message is for the moment: it goes when the visitor goes on.
  for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => status.replaceChildren());
  // Before others hear of it: Turbo, for one, sends whatever form nobody has taken yet.
  addEventListener("submit", submitted, true);
  addEventListener("pageshow", returned);
  addEventListener("click", (event) => {
    if (!(event.target instanceof Element && event.target.closest("[data-privacy-settings]"))) return;
    event.preventDefault();
    show();
  });
  const ready = load();
  /** @param {string} type @param {(purposes: Purposes) => void} listener */
  const on = (type, listener) => {
    /** @param {Event} event */
    const heard = (event) => listener(/** @type {CustomEvent<Purposes>} */ (event).detail);
    changes.addEventListener(type, heard);
    return () => changes.removeEventListener(type, heard);
  };
  Object.assign(window, { consent: Object.freeze({ allows, on, show, ready }) });
}

if (!("consent" in window)) start();
