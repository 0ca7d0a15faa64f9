// Tells of the page on which tracing was allowed: when it was asked for, nothing was recorded. The answer may come on a
// later page than the first: the campaign is that of the first. It is read after the yes, and was stored by nobody.

/**
 * Tell of it as a view, and of how the visitor came. Call it once the server has said that tracing began.
 * @param {boolean | undefined} closed whether the page may load what a grant allows; undefined where the page came
 *   without the question, and may not have been counted
 */
export function tell(closed) {
  const [visit] = /** @type {(PerformanceNavigationTiming & { responseStatus?: number })[]} */ (
    performance.getEntriesByType("navigation")
  );
  // Who looks at a page in a frame looks at the page around it, and an error is no view.
  if (top !== window || (visit?.responseStatus ?? 0) >= 400) return;
  // Where this tab came to the site, as the browser itself knows it (Navigation API); older ones know how this page came.
  const arrived = new URL(window.navigation?.entries?.()[0]?.url ?? visit?.name ?? location.href);
  const body = JSON.stringify({
    name: "page_view",
    path: location.pathname,
    query: (arrived.search || location.search).slice(1, 1025),
    referrer: document.referrer.match(/^https?:[/][/][^/]+/)?.[0],
    asked: closed !== undefined,
  });
  const headers = { "content-type": "application/json" };
  const events = new URL("../events", import.meta.url);
  fetch(events, { method: "POST", headers, body, keepalive: true }).catch(() => {});
}
