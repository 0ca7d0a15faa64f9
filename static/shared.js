// For pages that are the same for everybody: finds out what holds, and shows the question that is in the page, hidden.
// Who has answered needs no request: a cookie says it, and a page that asks needs none before it asks.

const base = import.meta.url.replace(/\/assets\/[^/]*$/, "");
const question = /** @type {HTMLElement | null} */ (document.querySelector(".pchoice-shared"));
// Those of the header fields that a script can see. What the cookie says was decided in sight of others, if they differ.
const gpc = navigator.globalPrivacyControl;
const signals = (navigator.doNotTrack === "1" ? "d" : "") + (gpc ? "g" : "");

/** @param {ParentNode} where @param {string} selector @returns {HTMLInputElement | null} */
const field = (where, selector) => where.querySelector(selector);

/**
 * What the browser's own cookie says that holds; null if it says that nothing was answered, undefined if the server has to
 * be asked. @param {HTMLElement} section @returns {string[] | null | undefined} ids of purposes
 */
function told(section) {
  const { shared, state, off, first } = section.dataset;
  const said = document.cookie.match(`(?:^|; )(?:__\\w+-)?${shared}=([^;]*)`);
  if (!said) return first !== undefined || signals ? undefined : null;
  const [version, letters, heeded] = said[1].split(".");
  if (!field(section, "[name=policy]")?.value.startsWith(version) || heeded !== signals) return undefined;
  const ids = Object.keys(JSON.parse(state ?? "{}")).filter((id) => id !== "necessary");
  const refused = off?.split(" ") ?? [];
  return ids.filter((id, at) => letters.includes(letter(at)) && !refused.includes(id));
}

/** The letter of a purpose, by its place among the optional ones. @param {number} at */
const letter = (at) => String.fromCharCode(at < 26 ? 97 + at : 39 + at);

/** What the server says that holds on this page; nothing if it does not answer. */
async function look() {
  try {
    const address = `${base}/state?page=${encodeURIComponent(location.pathname)}${gpc ? "&gpc=1" : ""}`;
    const reply = await fetch(address, { signal: AbortSignal.timeout?.(10000) });
    if (reply.ok) return await reply.json();
  } catch {}
  console.error(`cookie-consent: no answer from ${base}/state. Let it pass policies, workers and proxies`);
}

/** Show the question at once, if its style is in the page. @param {HTMLElement} section */
function show(section) {
  section.className = section.dataset.class ?? "";
  const next = field(section, "[name=next]");
  if (next) next.value = `${location.pathname}${location.search}#pchoice`;
  const once = field(section, "[name=once]");
  // So that an answer that comes twice counts once.
  if (once) once.value = crypto.randomUUID?.() ?? "";
  // The page was painted long ago: nothing is gained by a frame without it.
  section.dataset.live = "";
  section.hidden = false;
}

/** Put what is allowed in the place of its template. @param {HTMLElement} section @param {string[]} allowed */
function hold(section, allowed) {
  section.remove();
  window.consentSignals?.(Object.fromEntries(allowed.map((id) => [id, true])));
  for (const template of /** @type {NodeListOf<HTMLTemplateElement>} */ (
    document.querySelectorAll("template[data-purpose]")
  )) {
    const needed = template.dataset.purpose?.match(/\S+/g) ?? [];
    if (needed[0] && needed.every((id) => allowed.includes(id))) template.replaceWith(template.content);
  }
}

/** @param {HTMLElement} section */
async function start(section) {
  const known = told(section);
  if (known) return hold(section, known);
  // The page around a frame asks, and so does none where no answer would last.
  const asks = top === window && navigator.cookieEnabled;
  if (known === null && asks) show(section);
  const state = await look();
  if (state && !(state.should_ask && asks)) {
    /** @type {Record<string, boolean>} */
    const purposes = state.purposes;
    hold(
      section,
      Object.keys(purposes).filter((id) => purposes[id]),
    );
  } else if (state && section.isConnected) {
    // Only some of it is to be asked: the script brings the question for that.
    if (field(section, "[name=asked]")?.value !== state.asked.join(" ")) section.remove();
    else if (section.hidden) show(section);
    await import(section.dataset.script ?? "");
  }
}

// A page that is shown again by a script has no other.
if (question) start(question);
