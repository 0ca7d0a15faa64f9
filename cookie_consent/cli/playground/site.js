// Keeps the table of the site true while the page stays open, as a site's own script would.

/** @param {Record<string, boolean>} purposes */
function show(purposes) {
  for (const cell of document.querySelectorAll("[data-holds]")) {
    const id = cell.getAttribute("data-holds") ?? "";
    if (id in purposes) cell.textContent = purposes[id] ? "yes" : "no";
  }
}

document.addEventListener("consentchange", (event) => show(/** @type {CustomEvent} */ (event).detail));
