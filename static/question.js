// Brings the question into a page that came without it. Only pages that need it load this.

const patience = 10000;

/**
 * Put the question into the page: in the language that is asked for, else in the page's. Where it is asked for again
 * and cannot be had, go to the settings page.
 * @param {string} base @param {string} query @returns {Promise<HTMLElement | undefined>} the question, in place
 */
export async function bring(base, query) {
  const asked = new URLSearchParams(query);
  asked.set("next", location.pathname + location.search);
  if (!asked.get("language")) asked.set("language", document.documentElement.lang);
  const found = await load(`${base}/question?${asked}`);
  const question = /** @type {HTMLElement | null} */ (found?.querySelector(".pchoice") ?? null);
  const style = found?.querySelector("link");
  if (question && style) {
    await loaded(style);
    document.body.prepend(question);
    return question;
  }
  if (asked.has("again")) location.assign(`${base}?${asked}`);
}

/**
 * The browser's own loader parses the answer, so that no policy for scripts or Trusted Types stands in the way, and
 * nothing in it runs.
 * @param {string} address @returns {Promise<Document | null>}
 */
function load(address) {
  const request = new XMLHttpRequest();
  request.open("GET", address);
  request.responseType = "document";
  request.timeout = patience;
  return new Promise((resolve) => {
    request.onloadend = () => resolve(request.response);
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
