// Tells vendors' tags what the visitor allows: before any of them runs, and once for each change. It loads nothing of
// theirs. The server puts it first into the page's head, with what holds, and says what to call. It also clears from the
// browser's storage what was kept there for a purpose that is refused.

/** @typedef {Readonly<Record<string, unknown>>} Holds id of a purpose -> whether it is allowed */
/** @typedef {[path: string, ...values: unknown[]]} Call */
/** @typedef {{ always?: Call[], granted?: Call[], denied?: Call[] }} Calls */
/**
 * @typedef {object} Vendor
 * @property {{ array?: string, function?: string, queue?: string, property?: string, as_list?: boolean,
 *   set?: object, also?: string[] }} stub
 * @property {Record<string, string>} signals signal -> the id of its purpose; the signal is "" for a vendor that is
 *   told one thing
 * @property {[unknown, unknown]} values what a signal is, granted and denied
 * @property {Calls} default
 * @property {Calls} update
 * @property {object} [more] what the default says besides the signals
 */

(() => {
  /**
   * `stored` has, for each purpose, a pattern of the keys in the browser's storage.
   * @type {{ holds: Holds, state: string, vendors: Vendor[], shared?: boolean, stored?: Record<string, string>,
   *   refused?: string[] }}
   */
  const page = JSON.parse(document.currentScript?.dataset.vendors ?? "");
  const { vendors, stored = {} } = page;
  let { holds } = page;

  /** The object that holds what a path names, and the name in it. @param {string} path @returns {[any, string]} */
  const place = (path) => {
    const names = path.split(".");
    const last = /** @type {string} */ (names.pop());
    return [names.reduce((/** @type {any} */ at, name) => at?.[name], window), last];
  };

  /** @param {Vendor} vendor */
  const signals = ({ signals, values }) =>
    Object.fromEntries(
      Object.entries(signals).map(([name, purpose]) => [name, values[holds[purpose] === true ? 0 : 1]]),
    );

  /** Keep the vendor's calls until its script comes, as its own code does. @param {Vendor["stub"]} stub */
  function keep({ array, function: name, queue, property = "", as_list, set, also = [] }) {
    const there = /** @type {any} */ (window);
    if (array) there[array] ??= [];
    if (!name || there[name]) return;
    /** @param {any[]} values */
    function stub(...values) {
      if (stub.callMethod) stub.callMethod(...values);
      // Google and Clarity tell calls from other things by this type.
      // biome-ignore lint/complexity/noArguments: see above
      else at[queue ?? property].push(as_list ? values : arguments);
    }
    /** @type {undefined | ((...values: any[]) => void)} the library's function, once it is there */
    stub.callMethod = undefined;
    there[name] = Object.assign(stub, set);
    const at = queue ? there : stub;
    at[queue ?? property] ??= [];
    for (const path of also) {
      const [holder, last] = place(path);
      holder[last] ??= stub;
    }
  }

  /** A middleware that writes the signals into each event. @param {Vendor} vendor @param {string[]} path */
  const stamp =
    (vendor, path) =>
    (/** @type {any} */ { payload, next }) => {
      const last = path.length - 1;
      path.slice(0, last).reduce((at, name) => (at[name] ??= {}), payload.obj)[path[last]] = signals(vendor);
      next(payload);
    };

  /** @param {Vendor} vendor @param {Calls} calls @param {object} [more] */
  function tell(vendor, calls, more) {
    const now = signals(vendor);
    const answer = /** @type {"granted" | "denied"} */ (now[""]);
    for (const [path, ...values] of [...(calls.always ?? []), ...(calls[answer] ?? [])]) {
      const given = values.map((value) => {
        if (value === "$signals") return { ...now, ...more };
        const [word, to] = `${value}`.split(" ");
        return word === "$stamp" ? stamp(vendor, to.split(".")) : value;
      });
      const [at, name] = place(path);
      try {
        // Where there is no such method yet, an array keeps its name.
        if (typeof at?.[name] === "function") at[name](...given);
        else at?.push([name, ...given]);
      } catch (error) {
        // The others are told nevertheless.
        console.error(error);
      }
    }
  }

  /** Remove what is stored for a purpose. @param {string} purpose */
  function clear(purpose) {
    const keys = new RegExp(`^(?:${stored[purpose]})$`, "s");
    try {
      for (const storage of [localStorage, sessionStorage])
        for (const key of Object.keys(storage)) if (keys.test(key)) storage.removeItem(key);
      // Where cookies are blocked, there is no storage.
    } catch {}
  }

  /** @param {Vendor} vendor */
  const said = (vendor) => JSON.stringify(signals(vendor));

  /** Tell each vendor what has changed for it. @param {Holds} now */
  function change(now) {
    const before = vendors.map(said);
    for (const purpose in stored) if (holds[purpose] && !now[purpose]) clear(purpose);
    holds = { ...holds, ...now };
    for (const [number, vendor] of vendors.entries())
      if (said(vendor) !== before[number]) tell(vendor, vendor.update);
  }

  /** Ask the server what holds now. */
  async function look() {
    try {
      const reply = await fetch(`${page.state}?page=${encodeURIComponent(location.pathname)}`);
      if (!reply.ok) return;
      change((await reply.json()).purposes);
    } catch {}
  }

  page.refused?.forEach(clear);
  // The page was swapped into another one, which has told them already.
  if (window.consentSignals) return window.consentSignals(holds);
  window.consentSignals = change;
  for (const vendor of vendors) {
    keep(vendor.stub);
    tell(vendor, vendor.default, vendor.more);
  }
  document.addEventListener("consentchange", (event) => change(event.detail));
  // A service worker and the back button bring a page as it was, and the visitor may have answered since. Of a page that
  // is the same for everybody, another script knows what holds.
  addEventListener("pageshow", (event) => {
    const [visit] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
    if (event.persisted || (!page.shared && visit?.transferSize === 0)) look();
  });
})();
