// Notes in `window.noted` what is seen of a page: runs at the start of its document. What each means, says
// README.md.

/** @param {string} selector of the banner's box; "" for none */
function watchPage(selector) {
  const noted = { firstPaint: null, frame: null, painted: null, unstyled: 0, shift: 0, answer: null };
  const watch = (options, take) =>
    new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ buffered: true, ...options });
  watch({ type: "layout-shift" }, (entry) => { if (!entry.hadRecentInput) noted.shift += entry.value; });
  watch({ type: "paint" }, (entry) => {
    if (entry.name === "first-contentful-paint") noted.firstPaint = entry.paintTime ?? entry.startTime;
  });
  const answered = (entry) => {
    if (entry.interactionId || entry.entryType === "first-input")
      noted.answer = Math.max(noted.answer, entry.duration);
  };
  watch({ type: "event", durationThreshold: 16 }, answered);
  watch({ type: "first-input" }, answered);

  const after = new MessageChannel();
  after.port1.onmessage = () => { noted.painted = performance.now(); };
  function look() {
    const box = document.querySelector(selector);
    const found = box && styles(box);
    if (found && found.opacity > 0.9 && mostlyInWindow(box)) {
      if (found.fixed) {
        noted.frame = performance.now();
        after.port2.postMessage("");
        return;
      }
      noted.unstyled += 1;
    }
    requestAnimationFrame(look);
  }
  function styles(box) {
    let opacity = getComputedStyle(box).visibility === "visible" ? 1 : 0;
    let fixed = false;
    for (let element = box; element; element = element.parentElement) {
      const style = getComputedStyle(element);
      opacity *= Number(style.opacity);
      fixed ||= style.position === "fixed";
    }
    return { opacity, fixed };
  }
  function mostlyInWindow(box) {
    const { left, right, top, bottom, width, height } = box.getBoundingClientRect();
    const wide = Math.min(right, innerWidth) - Math.max(left, 0);
    const high = Math.min(bottom, innerHeight) - Math.max(top, 0);
    return wide > 0 && high > 0 && wide * high >= (width * height) / 2;
  }
  if (selector) requestAnimationFrame(look);
  Object.assign(window, { noted });
}

function blockingFiles() {
  const files = performance.getEntriesByType("resource");
  return files.filter((entry) => entry.renderBlockingStatus === "blocking").map((entry) => entry.name);
}

Object.assign(window, { watchPage, blockingFiles });
