// Brings the question into a page that came without it, and says why a browser without cookies is not asked. Only pages
// that need it load this.

const patience = 10000;
let complained = false;

/**
 * Put the question into the page: in the language that is asked for, else in the app's own, else in the page's. Where it
 * is asked for again and cannot be had, go to the settings page.
 * @param {string} base @param {string} query @returns {Promise<HTMLElement | undefined>} the question, in place, or the
 *   one that has come meanwhile
 */
export async function bring(base, query) {
  const asked = new URLSearchParams(query);
  asked.set("next", location.pathname + location.search);
  asked.set("page_language", document.documentElement.lang);
  const { status, response } = await load(`${base}/question?${asked}`);
  const question = found(response);
  const style = response?.querySelector("link");
  if (question && style) {
    await loaded(style);
    const other = found(document);
    if (!other) document.body.prepend(question);
    return other ?? question;
  }
  // 204: the page is to be read without it.
  if (status !== 204) complain(`${base}/question`, status);
  if (asked.has("again")) location.assign(`${base}?${asked}`);
}

/**
 * Say that the browser keeps no cookies: in a line at the end of the page, once in a tab. Nothing is stored to know that.
 * @param {HTMLElement} question what the page would have asked
 */
export function tell(question) {
  const [visit] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  // Older browsers tell only whether a page of the site led here.
  const before = window.navigation?.currentEntry?.index ?? document.referrer.startsWith(location.origin);
  const isAgain = before || visit?.type === "reload" || visit?.type === "back_forward";
  // A form has brought an answer, which the browser did not keep.
  if (isAgain && location.hash !== "#pchoice") return;
  const line = document.createElement("p");
  line.lang = question.lang;
  line.dir = question.dir;
  line.style.textAlign = "center";
  line.setAttribute("role", "status");
  (document.querySelector(".pchoice-way-back span") ?? document.body).append(line);
  // A moment later, so that screen readers notice.
  setTimeout(() => {
    line.textContent = question.dataset.blocked ?? "";
  }, 50);
}

/** @param {Document | null} where @returns {HTMLElement | null} */
const found = (where) => where?.querySelector(".pchoice") ?? null;

/** Say what a developer has to know, once. @param {string} address @param {number} status 0 where nothing answered */
function complain(address, status) {
  const why = status ? `an answer with status ${status}` : "no answer";
  const what = "Let it pass the page's policy, workers and proxies";
  if (!complained) console.error(`cookie-consent: no question, but ${why} from ${address}. ${what}`);
  complained = true;
}

/**
 * The browser's own loader parses the answer, so that no policy for scripts or Trusted Types stands in the way, and
 * nothing in it runs.
 * @param {string} address @returns {Promise<XMLHttpRequest>} the request, when it has come to its end
 */
function load(address) {
  const request = new XMLHttpRequest();
  request.open("GET", address);
  request.responseType = "document";
  request.timeout = patience;
  return new Promise((resolve) => {
    request.onloadend = () => resolve(request);
    request.send();
  });
}

/** Wait for a stylesheet, or until it is clear that it does not come. @param {HTMLLinkElement} style */
function loaded(style) {
  const nonced = document.querySelector("link[nonce], style[nonce]") ?? document.querySelector("[nonce]");
  style.nonce = /** @type {HTMLElement | null} */ (nonced)?.nonce ?? "";
  return new Promise((resolve) => {
    style.onload = style.onerror = resolve;
    document.head.append(style);
  });
}
