// Sends the answer without a reload, does at once what it allows, and keeps the page in step with what holds
// elsewhere. Without this script the forms work as forms do.

/** @typedef {Readonly<Record<string, boolean>>} Purposes purpose id -> whether it is allowed, "necessary" included */
/**
 * @typedef {{
 *   purposes: Purposes, outcome: string, should_ask: boolean, decided_at: string | null, reloads: boolean, message?: string,
 *   page?: Promise<{ tell(closed?: boolean): void }>
 * }} State
 */

/**
 * What pages may ask, as `window.consent`.
 * @typedef {object} Consent
 * @property {(purpose: string) => boolean} allows whether a purpose is allowed now; false until `ready`
 * @property {Purposes} purposes what holds now
 * @property {(type: "change", listener: (purposes: Purposes) => void) => () => void} on calls the listener after
 *   each change, until the function that it returns is called; `document` hears a "consentchange" event likewise
 * @property {() => Promise<void>} show opens the question, or the settings, in place
 * @property {Promise<Purposes>} ready resolves when it is known what holds
 */

const base = import.meta.url.replace(/\/assets\/[^/]*$/, "");
const json = "application/json";
// A proxy may have taken the header field away (Global Privacy Control, section "JavaScript Property").
const gpc = navigator.globalPrivacyControl ? "&gpc=1" : "";
const status = document.createElement("p");
const said = new Set();
const tended = new WeakSet();

/** @type {Purposes} */
let purposes = {};
/** @type {HTMLElement | null} what had the focus when the question was called for */
let opener = null;
/** @type {BroadcastChannel | undefined} */
let channel;
/** Whether no answer would last. It is found out without storing anything. */
let blocked = !navigator.cookieEnabled;
try {
  // Forbidden where cookies are.
  void window.localStorage;
} catch {
  blocked = true;
}
/** Who keeps no cookies has refused. */
let answered = blocked;
let busy = false;
/** Whether the page was kept as it was, and has not looked at what holds since. */
let restored = false;
/** @type {string | null | undefined} when the answer was given that the page goes by, once that is known */
let decided;
/** @type {boolean | undefined} whether the page's own policy keeps it from loading what a grant allows, if it says so */
let closed;
/** Whether it keeps this script from reaching the server. */
let sealed = false;

/** @param {string} selector */
const all = (selector) => /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(selector));

const banner = () => all(".pchoice")[0];

/** Say what a developer has to know, once. @param {string} text */
function complain(text) {
  if (!said.has(text)) console.error(`cookie-consent: ${text}`);
  said.add(text);
}

/** @param {string} what */
const unanswered = (what) =>
  complain(`no answer from ${base}/${what}. Let it pass policies, workers and proxies`);

/** Until the page has loaded ("complete"), gated.js may still come and say what a name stands for. @param {string} id */
function allows(id) {
  if (typeof purposes[id] !== "boolean" && purposes.necessary && document.readyState < "d")
    complain(`no purpose "${id}" among ${Object.keys(purposes)}`);
  return purposes[id] === true;
}

/** @param {HTMLElement} element */
const needs = (element) => element.dataset.purpose?.match(/\S+/g) ?? [];

/** @param {HTMLElement} element */
const allowed = (element) => needs(element).length > 0 && needs(element).every(allows);

/** Whether a template waits for what this box offers to allow. @param {HTMLElement} box */
const awaited = (box) => [...all("template")].some((template) => `${needs(template)}` === `${needs(box)}`);

/** Take it away. Reading goes on, if it had the focus. @param {HTMLElement} section @param {Node | string} [instead] */
function leave(section, instead = "") {
  const focused = section.contains(document.activeElement);
  section.replaceWith(instead);
  if (focused) goOn();
}

/**
 * Put what is allowed in the place of its template, and take away the boxes that stood for it. Where the server left it
 * out of the page, its box offers to reload: at once would lose what is typed into the page's forms.
 */
function activate() {
  for (const box of all(".pchoice-box")) {
    if (allowed(box)) leave(box, awaited(box) ? "" : box.querySelector("template")?.content);
  }
  for (const template of /** @type {NodeListOf<HTMLTemplateElement>} */ (all("template[data-purpose]"))) {
    if (allowed(template)) template.replaceWith(template.content);
  }
}

/** Focus what may not be focusable by itself. @param {HTMLElement} element */
function focusOn(element) {
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
}

/** Bring the question above all else, whatever the page does to its own boxes. @param {HTMLElement} question */
function raise(question) {
  if (!question.isConnected || question.hidden) return;
  if (question instanceof HTMLDialogElement) {
    question.close();
    question.showModal();
    focusOn(question);
  } else if ("popover" in question && !question.matches(":popover-open")) {
    question.popover = "manual";
    question.showPopover();
  }
}

/**
 * Load our stylesheet if the page lacks it: a policy forbids what is in its head, or a script has put it together.
 * @param {HTMLElement} question
 */
function dress(question) {
  const href = question.dataset.style;
  if (!getComputedStyle(question).getPropertyValue("--line"))
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
}

/** Whatever comes into the page later is treated as what was there: templates, and questions of swapped pages. */
function tend() {
  activate();
  const question = banner();
  if (question && answered && !("again" in question.dataset)) question.remove();
  else if (question && !tended.has(question)) {
    tended.add(question);
    question.dataset.live = "";
    dress(question);
    // The page can be scrolled out from behind it, and no further.
    new ResizeObserver(() =>
      document.documentElement.style.setProperty("--consent-block", `${question.offsetHeight}px`),
    ).observe(question);
    // At once, so that it need not move; what does not move can wait.
    if (question instanceof HTMLDialogElement) raise(question);
    else painted().then(() => raise(question));
  }
}

/** The page is on the screen: now things may cost something. @returns {Promise<void>} */
const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

/** @param {HTMLElement} from whose language it is in @param {string} [text] */
function say(from, text = "") {
  status.lang = from.lang;
  status.dir = from.dir;
  document.body.append(status);
  // A moment later, so that screen readers notice.
  setTimeout(() => {
    status.textContent = text;
  }, 50);
}

/** Go on where the visitor was before, or where reading goes on. */
function goOn() {
  if (opener?.isConnected) opener.focus({ preventScroll: true });
  else focusOn(all("main")[0] ?? document.body);
}

/** The answer as the server wants it. @param {HTMLFormElement} form @param {HTMLButtonElement} button */
function written(form, button) {
  const chosen = [
    .../** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("[name=purpose]")),
  ].map((input) => [input.value, input.type === "hidden" || input.checked]);
  return JSON.stringify({
    ...Object.fromEntries(new FormData(form)),
    [button.name]: button.value,
    purposes: Object.fromEntries(chosen),
  });
}

/** What the server says that holds on this page. @returns {Promise<State | undefined>} */
async function look() {
  try {
    const address = `${base}/state?page=${encodeURIComponent(location.pathname)}${gpc}`;
    const before = decided;
    const reply = await fetch(address, { signal: AbortSignal.timeout?.(10000) });
    if (reply.ok) return before === decided ? await reply.json() : look();
  } catch {}
  unanswered("state");
}

/**
 * The server's answer, or what is to be said: the name of one of the question's texts.
 * @param {HTMLFormElement} form @param {HTMLButtonElement} button @returns {Promise<State | string>}
 */
async function send(form, button) {
  try {
    // Where the page comes anew, that is recorded: so the server has to know how the visitor came.
    const reply = await fetch((closed && button.getAttribute("formaction")) || form.action, {
      method: "POST",
      headers: { accept: json, "content-type": json },
      body: written(form, button),
      // Who goes on at once has answered nevertheless.
      keepalive: true,
      signal: AbortSignal.timeout?.(10000),
    });
    if (!reply.ok) return reply.status === 409 ? "changed" : reply.status < 500 ? "rejected" : "unavailable";
    const state = await reply.json();
    // At once: the visitor may go on in a moment.
    const page = state.tracing_began && import(`${base}/landing.js`);
    const kept = await look();
    // Older than this answer, or none: the browser kept it not. Newer: another tab has answered since.
    return kept && (kept.decided_at ?? "") < state.decided_at ? "blocked" : { ...state, ...kept, page };
  } catch {
    // A policy that forbids it is heard of only after the failure.
    await new Promise((resolve) => setTimeout(resolve, 200));
    return "failed";
  }
}

/** Show that an answer is on its way, or that it has come. @param {HTMLButtonElement} button @param {boolean} waits */
function wait(button, waits) {
  busy = waits;
  button.setAttribute("aria-busy", `${waits}`);
}

/** Do what the server says that holds. @param {State} state @returns {boolean} whether the page stays */
function adopt(state) {
  const before = purposes;
  // What it says may hold no more.
  status.textContent = "";
  purposes = state.purposes;
  const changed = Object.keys(purposes).filter((id) => before[id] !== purposes[id]);
  // What runs already cannot be stopped in place, what the server had left out of a kept page comes with a new one, and
  // not every page may load what was granted just now.
  const reload = changed.some((id) => before[id] || restored || (id in before && (closed ?? state.reloads)));
  restored = false;
  answered = blocked || !state.should_ask;
  const question = banner();
  if (question && (changed[0] || (answered && !("again" in question.dataset)))) {
    leave(question);
    // What is left to ask.
    if (!answered && !question.hidden) bring("");
  }
  if (reload) location.reload();
  else activate();
  // Why the others are off has changed too. Their place stays, so that nothing moves.
  if (decided !== state.decided_at && (answered || decided !== undefined))
    for (const reason of all(".pchoice-why")) reason.style.visibility = "hidden";
  decided = state.decided_at;
  for (const link of all(".pchoice-way-back [data-granted]"))
    link.textContent = link.dataset[state.outcome] ?? link.dataset.privacySettings ?? "";
  if (changed[0]) {
    document.dispatchEvent(new CustomEvent("consentchange", { detail: { ...purposes } }));
  }
  return !reload;
}

/** @param {SubmitEvent} event */
async function submitted(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  // Old browsers do not say it: theirs are forms.
  const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
  /** @type {HTMLElement | null} */
  const section = form.closest(".pchoice-part");
  // What the server left out of the page comes with the page that the form leads to.
  if (
    !button ||
    !section ||
    (section !== banner() && !awaited(section)) ||
    "stale" in section.dataset ||
    sealed
  )
    return;
  event.preventDefault();
  event.stopPropagation();
  if (busy) return;
  wait(button, true);
  for (const old of all(".pchoice-alert")) old.textContent = "";
  const result = await send(form, button);
  wait(button, false);
  if (typeof result !== "string") {
    leave(section);
    channel?.postMessage("");
    if (adopt(result)) {
      say(section, result.message ?? section.dataset[result.outcome]);
      result.page?.then(
        (it) => it.tell(closed),
        // One view less is known.
        () => {},
      );
    }
  } else if (section === banner() && result === "blocked") {
    leave(section);
    say(section, section.dataset.blocked);
  } else {
    // Asked about another policy, or kept from asking by the page's own: the form does what the script cannot.
    if (sealed) return form.requestSubmit(button);
    if ("changed" === result) section.dataset.stale = "";
    /** @type {HTMLElement} */ (form.querySelector(".pchoice-alert")).textContent = /** @type {string} */ (
      section.dataset[result]
    );
  }
}

/** Leave the question unanswered on this page. */
function setAside() {
  const question = /** @type {HTMLDialogElement} */ (banner());
  question.hidden = true;
  question.close?.();
  goOn();
}

/** Bring the question into a page that came without. @param {string} query @returns {Promise<HTMLElement | undefined>} */
async function bring(query) {
  try {
    return await (await import(`${base}/question.js`)).bring(base, query + gpc);
  } catch {
    unanswered("question.js");
    if (query) location.assign(`${base}?${query}`);
  }
}

/** Ask again, in place where that can be. @param {URLSearchParams} [asked] what a link to the settings asks for */
async function show(asked) {
  const had = /** @type {HTMLElement} */ (document.activeElement);
  const question = banner() ?? (await bring(`again&${asked ?? ""}`));
  if (!question) return;
  opener = had;
  question.hidden = false;
  raise(question);
  focusOn(question);
}

/** Whether the page came just now from the server: not from a cache, a restored tab, or ahead of the visit. */
function isFresh() {
  const [visit] = /** @type {(PerformanceNavigationTiming & { deliveryType?: string })[]} */ (
    performance.getEntriesByType("navigation")
  );
  return (
    visit?.transferSize > 0 &&
    !visit.deliveryType &&
    !(/** @type {{ prerendering?: boolean }} */ (document).prerendering)
  );
}

/** What holds now. The first page of a visit that asks says it by itself: nothing is requested before an answer. */
async function load() {
  // Asked without heeding the signal: the server says what is left to ask, and cards ask for nothing more.
  if (gpc)
    all("[data-pchoice-gpc]").forEach((offer) => {
      offer.remove();
    });
  const question = banner();
  // No other question knows what came with the page.
  closed = question && "reload" in question.dataset;
  purposes = JSON.parse(question?.dataset.state ?? "{}");
  const state = question && isFresh() ? undefined : await look();
  if (state) {
    // Nothing runs yet that would have to be stopped, and a stored page would only come again.
    purposes = state.purposes;
    if (question) adopt(state);
    decided = state.decided_at;
  }
  tend();
  addEventListener("load", tend);
  new MutationObserver(tend).observe(document, { childList: true, subtree: true });
  painted().then(() => {
    if (blocked && question) {
      // The line is for another page, if it cannot be had.
      import(`${base}/question.js`).then(
        ({ tell }) => tell(question),
        () => {},
      );
      // Who looks at a page in a frame is asked by the page around it.
    } else if (state?.should_ask && !answered && !banner() && top === window) bring("");
    // The visitor may have gone on before an answer was taken.
    if (!state && banner() && document.referrer.startsWith(location.origin)) refresh();
  });
  return { ...purposes };
}

/** Somebody may have answered elsewhere. */
async function refresh() {
  const state = await look();
  if (state) adopt(state);
}

/** Hear of answers in other tabs. */
function listen() {
  try {
    channel = new BroadcastChannel(base);
    channel.onmessage = refresh;
    // Unknown to old browsers, forbidden by Firefox where cookies are.
  } catch {}
}

/** @returns {Consent} */
function start() {
  status.className = "pchoice-status pchoice-part";
  status.setAttribute("role", "status");
  // The message is for the moment: it goes when the visitor goes on.
  for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => status.replaceChildren());
  // Before others hear of it: Turbo, for one, sends whatever form nobody has taken yet.
  addEventListener("submit", submitted, true);
  addEventListener("securitypolicyviolation", (event) => {
    sealed ||= event.disposition === "enforce" && event.blockedURI.startsWith(base);
  });
  addEventListener(
    "click",
    (event) => {
      const target = /** @type {Element} */ (event.target);
      if (target.closest?.(".pchoice-close")) setAside();
      if (target.closest?.(".pchoice-show")) location.reload();
      const link = /** @type {HTMLAnchorElement | null} */ (target.closest?.("[data-privacy-settings]"));
      if (!link || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      show(new URL(link.href, base).searchParams);
    },
    true,
  );
  // In a small window the answers may be below what can be seen.
  addEventListener(
    "toggle",
    (event) => {
      const target = /** @type {Element} */ (event.target);
      if (target.matches(".pchoice:not([data-again]) details")) target.parentElement?.scrollIntoView(false);
    },
    true,
  );
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && banner()?.contains(document.activeElement))
      (all(".pchoice-close")[0] ?? all(".pchoice [value=refuse_all]")[0]).click();
  });
  listen();
  // An open channel keeps some browsers from keeping the page for the back button.
  addEventListener("pagehide", () => channel?.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      listen();
      restored = true;
      refresh();
    }
  });
  // Our own pages tell no tab, nor does any where there is no channel. A page that was made ahead becomes visible, too.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh();
  });
  const ready = load();
  return Object.freeze({
    allows,
    get purposes() {
      return { ...purposes };
    },
    on(type, listener) {
      if (type !== "change") complain(`no event "${type}" among change`);
      /** @param {CustomEvent<Purposes>} event */
      const heard = (event) => listener(event.detail);
      document.addEventListener("consentchange", heard);
      return () => document.removeEventListener("consentchange", heard);
    },
    show: () => show(),
    ready,
  });
}

/** @type {Consent} */
export const consent = window.consentChoices ?? start();
window.consentChoices = consent;
window.consent = consent;
