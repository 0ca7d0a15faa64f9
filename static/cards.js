// Offers to show the content of a card once, in place. Without this script, a card has "Always allow" alone.

// Cards may come later.
const offer = () => {
  for (const template of /** @type {NodeListOf<HTMLTemplateElement>} */ (
    document.querySelectorAll("template.pchoice-offer")
  ))
    template.replaceWith(template.content);
};

addEventListener("click", ({ target }) => {
  const button = /** @type {HTMLElement | null} */ (
    target instanceof Element ? target.closest(".pchoice-once") : null
  );
  const card = /** @type {HTMLElement | null | undefined} */ (button?.closest(".pchoice-box"));
  const template = card?.nextElementSibling;
  if (!button || !card || !(template instanceof HTMLTemplateElement)) return;
  const { dir, id, lang } = card;
  const note = Object.assign(document.createElement("p"), {
    className: "pchoice-shown",
    dir,
    id,
    lang,
    tabIndex: -1,
  });
  note.setAttribute("role", "status");
  card.replaceWith(note);
  template.replaceWith(template.content);
  note.focus({ preventScroll: true });
  // A moment later, so that screen readers notice.
  setTimeout(() => {
    note.textContent = button.dataset.shown ?? "";
  }, 50);
});
offer();
new MutationObserver(offer).observe(document, { childList: true, subtree: true });
