// On the settings page, keeps the tick box of a purpose and those of its recipients in step. Without it, the server
// understands what the form says.

for (const whole of /** @type {NodeListOf<HTMLInputElement>} */ (
  document.querySelectorAll("[name=purpose]")
)) {
  const single = /** @type {HTMLInputElement[]} */ ([
    ...(whole.closest("section")?.querySelectorAll("[name=recipient]") ?? []),
  ]);
  const show = () => {
    const number = single.filter((box) => box.checked).length;
    whole.checked = number > 0;
    whole.indeterminate = whole.checked && number < single.length;
  };
  if (single.length) {
    whole.addEventListener("change", () => {
      for (const box of single) box.checked = whole.checked;
    });
    for (const box of single) box.addEventListener("change", show);
    // The back button brings the boxes as they were left, but not this state.
    addEventListener("pageshow", show);
  }
}
