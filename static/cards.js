// Shows the content of a card in place. Without this script the form of the card leads to a page that shows it.

addEventListener(
  "submit",
  (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    const card = /** @type {HTMLElement} */ (form.previousElementSibling);
    const template = /** @type {HTMLTemplateElement} */ (form.nextElementSibling);
    // A page cannot loosen the policy that it was loaded with: where that has to let the recipient in, the form does it.
    if (!form.matches(".pchoice-once:not([data-reload])") || !template.matches("template")) return;
    event.preventDefault();
    event.stopPropagation();
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
      note.textContent = form.dataset.shown ?? "";
      form.remove();
    }, 50);
  },
  true,
);
