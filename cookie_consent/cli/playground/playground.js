// The playground's page. The server reads and edits the policy; this file shows what it says, and keeps the preview so.

/** @typedef {{ id: string, title: Record<string, string> }} Purpose */
/** @typedef {{ text: string, line: number }} Problem */
/**
 * @typedef {{
 *   code: string, problems: Problem[], path?: string,
 *   languages?: string[], prevailing?: string, purposes?: Purpose[],
 * }} Shown
 */

const KEPT = "cookie-consent-playground";
const AFTER_TYPING = 350;
const AFTER_MOVING = 60;
/** Widths of the preview, and the most height. */
const SIZES = { phone: [390, 800], desktop: [1100, 2000] };
const RELOAD = "The playground does not answer. Start it again, and reload this page.";

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 */
function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(id);
  return found;
}

/** @param {string} selector @returns {HTMLElement[]} */
const all = (selector) => [...document.querySelectorAll(selector)].filter((it) => it instanceof HTMLElement);

const policy = element("policy", HTMLTextAreaElement);
const theme = element("theme", HTMLTextAreaElement);
const language = element("language", HTMLSelectElement);
const site = element("site", HTMLIFrameElement);
const undo = element("undo", HTMLButtonElement);
const example = policy.value;

/** @type {Shown} */
let shown = { code: "", problems: [] };
/** The path of the preview in the frame. */
let path = "";
/** @type {HTMLElement | null} */
let keepsFocus = null;
let asked = 0;
let wait = 0;
/** @type {string[]} */
const before = [];

// What the page sends, and what comes back.

/** @param {string} name */
const chosen = (name) => {
  const input = document.querySelector(`input[name="${name}"]:checked`);
  return input instanceof HTMLInputElement ? input.value : "";
};

const draft = () => ({
  policy: policy.value,
  theme: theme.value,
  layout: chosen("layout"),
  later: chosen("later"),
  scheme: chosen("scheme"),
  language: language.value,
});

/** @param {string} to @param {object} data */
async function post(to, data) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(to, { method: "POST", headers, body: JSON.stringify(data) });
  const answer = await response.json();
  if (answer.problem) throw new Error(answer.problem);
  return answer;
}

/** Show the draft, after a while in which no other change comes. @param {number} delay */
function later(delay) {
  clearTimeout(wait);
  wait = setTimeout(update, delay);
}

async function update() {
  clearTimeout(wait);
  asked += 1;
  const number = asked;
  const sent = draft();
  try {
    const answer = await post("/draft", sent);
    if (number !== asked) return;
    shown = answer;
  } catch (error) {
    if (number === asked)
      say(error instanceof TypeError ? RELOAD : String(error).replace("Error: ", ""), true);
    return;
  }
  sessionStorage.setItem(KEPT, JSON.stringify(sent));
  showProblems();
  showLanguages();
  showPurposes();
  showCode();
  if (!shown.path) return;
  if (shown.path === path) dress();
  else await load(shown.path);
}

/** Load another preview, or the same one again, as a visitor who has not answered. @param {string} next */
async function load(next) {
  await fetch("/ask-again", { method: "POST" });
  path = next;
  site.style.colorScheme = chosen("scheme");
  element("open", HTMLAnchorElement).href = `${next}/`;
  const focused = document.activeElement;
  keepsFocus = focused instanceof HTMLElement && focused !== site ? focused : null;
  // Not a change of `src`, which would put each preview into the history of the page.
  site.contentWindow?.location.replace(`${next}/`);
}

// The preview.

/** Give the focus back that a question in a dialog has taken from the field in which somebody types. */
function giveBackFocus() {
  if (document.activeElement === site) keepsFocus?.focus({ preventScroll: true });
}

/** The page in the frame, if it is one of the small site's own: those with its style sheet. */
function sitePage() {
  const page = site.contentDocument;
  // Another window has other classes, so `instanceof` would not know its elements.
  const link = /** @type {HTMLLinkElement | null | undefined} */ (
    page?.querySelector('link[href^="theme.css"]')
  );
  return page && link ? { page, link } : null;
}

/** Give the page in the frame the look of now, without loading it again. */
function dress() {
  site.style.colorScheme = chosen("scheme");
  const open = sitePage();
  if (!open) return;
  open.page.documentElement.dataset.scheme = chosen("scheme");
  open.link.addEventListener("load", measure, { once: true });
  open.link.href = `theme.css?${asked}`;
}

function fit() {
  const [width, most] = chosen("width") === "phone" ? SIZES.phone : SIZES.desktop;
  const stage = element("stage", HTMLElement);
  const scale = Math.min(1, (stage.clientWidth - 2) / width);
  const height = Math.min(most, (stage.clientHeight - 2) / scale);
  const frame = element("frame", HTMLElement);
  frame.style.inlineSize = `${width * scale}px`;
  frame.style.blockSize = `${height * scale}px`;
  site.style.inlineSize = `${width}px`;
  site.style.blockSize = `${height}px`;
  site.style.transform = `scale(${scale})`;
}

// Contrast (WCAG 2.2), measured in the preview.

const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

/** Red, green and blue of a colour, in whatever way it is written. @param {string} colour */
function parts(colour) {
  if (!canvas) return [0, 0, 0];
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

/** @param {string} colour */
function luminance(colour) {
  const [red, green, blue] = parts(colour).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** @param {string} one @param {string} other */
function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function measure() {
  const open = sitePage();
  const view = open?.page.defaultView;
  const question = open?.page.querySelector(".pchoice:not([hidden='']), .pchoice-box");
  const button = question?.querySelector(".pchoice-button");
  if (!view || !question || !button) return;
  const box = view.getComputedStyle(question);
  const face = view.getComputedStyle(button);
  showColours({
    fill: face.backgroundColor,
    "on-fill": face.color,
    back: box.backgroundColor,
    text: box.color,
    line: box.borderTopColor,
    ring: box.color,
  });
  const results = /** @type {[string, number, number][]} */ ([
    ["Text", contrast(box.color, box.backgroundColor), 4.5],
    ["Text on buttons", contrast(face.color, face.backgroundColor), 4.5],
    ["Edge of buttons", contrast(face.backgroundColor, box.backgroundColor), 3],
  ]);
  const items = results.map(([name, ratio, least]) => {
    const item = document.createElement("li");
    const isLow = ratio < least;
    item.className = isLow ? "low" : "";
    const rounded = Math.floor(ratio * 10) / 10;
    item.textContent = `${name} ${rounded} : 1${isLow ? `, too low: ${least} is needed` : ""}`;
    return item;
  });
  element("contrast", HTMLElement).replaceChildren(...items);
}

/** Show the colours that hold where none is set. @param {Record<string, string>} colours */
function showColours(colours) {
  for (const [name, colour] of Object.entries(colours)) {
    const helper = document.querySelector(`[data-helps="${name}"]`);
    if (helper instanceof HTMLInputElement && !declaration(name).test(theme.value))
      helper.value = `#${parts(colour)
        .map((part) => part.toString(16).padStart(2, "0"))
        .join("")}`;
  }
}

// What is wrong.

/** @param {string} text @param {boolean} isWrong */
function say(text, isWrong) {
  const status = element("status", HTMLElement);
  status.className = isWrong ? "wrong" : "";
  // Only what is new, because screen readers read it.
  if (status.textContent !== text) status.textContent = text;
}

function showProblems() {
  const { problems } = shown;
  const number = problems.length;
  const many = number === 1 ? "1 problem" : `${number} problems`;
  // A reload keeps the draft, and may begin with one that was never good.
  const instead = path
    ? "The preview shows the last policy that was good."
    : "The preview waits for a good policy.";
  say(number ? `${many}. ${instead}` : "The preview shows this policy.", !!number);
  policy.setAttribute("aria-invalid", String(!!number));
  const list = element("problems", HTMLElement);
  const items = problems.map(({ text, line }) => {
    const item = document.createElement("li");
    item.append(text);
    if (line)
      item.append(
        " ",
        button(`Go to line ${line}`, () => goTo(line)),
      );
    return item;
  });
  if (
    items.map(({ textContent }) => textContent).join() !==
    [...list.children].map((it) => it.textContent).join()
  )
    list.replaceChildren(...items);
  numberLines();
}

/** @param {number} line */
function goTo(line) {
  openTab("tab-policy");
  const lines = policy.value.split("\n");
  const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  policy.focus();
  policy.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
  policy.scrollTop = (line - 4) * (policy.scrollHeight / lines.length);
}

function numberLines() {
  const gutter = element("gutter", HTMLElement);
  const count = policy.value.split("\n").length;
  while (gutter.childElementCount > count) gutter.lastElementChild?.remove();
  while (gutter.childElementCount < count) {
    const item = document.createElement("li");
    item.textContent = String(gutter.childElementCount + 1);
    gutter.append(item);
  }
  const wrong = new Set(shown.problems.map(({ line }) => line));
  for (const [place, item] of [...gutter.children].entries())
    item.classList.toggle("wrong", wrong.has(place + 1));
  gutter.scrollTop = policy.scrollTop;
}

/** @param {string} text @param {() => void} press */
function button(text, press) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", press);
  return made;
}

// Purposes and languages: buttons that edit the text of the policy, by the server.

/** @param {string} name @param {Record<string, string>} [more] */
async function edit(name, more) {
  try {
    const { policy: edited } = await post("/edit", { edit: name, policy: policy.value, ...more });
    before.push(policy.value);
    setPolicy(edited);
    await update();
    return true;
  } catch (error) {
    say(error instanceof TypeError ? RELOAD : String(error).replace("Error: ", ""), true);
    return false;
  }
}

/** @param {string} text */
function setPolicy(text) {
  policy.value = text;
  undo.disabled = !before.length;
  numberLines();
}

function showPurposes() {
  if (!shown.purposes) return;
  const { prevailing = "" } = shown;
  const list = element("purposes", HTMLElement);
  const focused = document.activeElement?.id;
  const rows = shown.purposes.map(({ id, title }) => {
    const tag = language.value in title ? language.value : prevailing;
    const row = document.createElement("li");
    const words = field(`title-${id}`, tag ? `Title (${tag})` : "Title", title[tag] ?? "", "title");
    words.input.lang = tag;
    words.input.addEventListener("change", () =>
      edit("retitle_purpose", { purpose: id, language: tag, title: words.input.value }),
    );
    const name = field(`id-${id}`, "Id", id, "id");
    name.input.addEventListener("change", async () => {
      const taken = await edit("rename_purpose", { purpose: id, new: name.input.value.trim() });
      if (!taken) name.input.value = id;
    });
    const remove = button("Remove", async () => {
      await edit("remove_purpose", { purpose: id });
      element("add-purpose", HTMLButtonElement).focus();
    });
    remove.id = `remove-${id}`;
    const whom = document.createElement("span");
    whom.className = "unseen";
    whom.textContent = ` ${title[tag] ?? id}`;
    remove.append(whom);
    row.append(words.label, name.label, remove);
    return row;
  });
  list.replaceChildren(...rows);
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
}

/** @param {string} id @param {string} text @param {string} value @param {string} key */
function field(id, text, value, key) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.id = id;
  input.value = value;
  input.dataset.key = key;
  input.autocomplete = "off";
  label.append(text, input);
  return { label, input };
}

function showLanguages() {
  const { languages, prevailing = "" } = shown;
  if (!languages?.length) return;
  const wanted = language.value || prevailing;
  for (const tag of languages)
    if (![...language.options].some(({ value }) => value === tag)) language.add(new Option(tag, tag));
  const options = [...language.options].sort((one, other) => one.text.localeCompare(other.text, "en"));
  const isOffered = (/** @type {HTMLOptionElement} */ option) => languages.includes(option.value);
  element("offered", HTMLOptGroupElement).replaceChildren(...options.filter(isOffered));
  element("shipped", HTMLOptGroupElement).replaceChildren(...options.filter((option) => !isOffered(option)));
  language.value = wanted;
  const name = language.selectedOptions[0]?.text.split(" – ")[0] ?? wanted;
  element("note", HTMLElement).hidden = !wanted || languages.includes(wanted);
  element("note-text", HTMLElement).textContent =
    `Your file does not offer ${name}. The preview does, with texts of yours in “${prevailing}” until you translate them.`;
}

// The look.

/** @param {string} name */
const declaration = (name) => new RegExp(`(--pchoice-${name}\\s*:\\s*)([^;}]*?)(\\s*[;}])`);

/** @param {string} name @param {string} value */
function setProperty(name, value) {
  const css = theme.value;
  if (!value) theme.value = css.replace(new RegExp(`[ \\t]*--pchoice-${name}\\s*:[^;}]*;?\\n?`), "");
  else if (declaration(name).test(css))
    theme.value = css.replace(declaration(name), (_, key, __, end) => key + value + end);
  else if (/:root\s*\{/.test(css))
    theme.value = css.replace(
      /(:root\s*\{[^}]*?)(\s*\})/,
      (_, rules, end) => `${rules}\n  --pchoice-${name}: ${value};${end}`,
    );
  else theme.value = `:root {\n  --pchoice-${name}: ${value};\n}\n${css}`;
  if (/^:root\s*\{\s*\}\s*$/.test(theme.value)) theme.value = "";
}

function readProperties() {
  for (const input of all("[data-property]")) {
    if (!(input instanceof HTMLInputElement || input instanceof HTMLSelectElement)) continue;
    const value = declaration(input.dataset.property ?? "").exec(theme.value)?.[2] ?? "";
    if (input !== document.activeElement) input.value = value;
    const helper = document.querySelector(`[data-helps="${input.dataset.property}"]`);
    if (helper instanceof HTMLInputElement && helper !== document.activeElement) help(helper, value);
  }
}

/** Set the colour field or the slider beside a property. @param {HTMLInputElement} helper @param {string} value */
function help(helper, value) {
  if (helper.type === "range") helper.value = String(Number.parseFloat(value) || helper.defaultValue);
  else if (/^#[0-9a-f]{6}$/i.test(value)) helper.value = value;
  else if (/^#[0-9a-f]{3}$/i.test(value)) helper.value = value.replace(/[0-9a-f]/gi, "$&$&");
}

function showCode() {
  element("code", HTMLElement).textContent = shown.code;
  element("toml", HTMLElement).textContent = policy.value;
  element("css", HTMLElement).textContent =
    theme.value || "/* Nothing: the question follows the page and the visitor. */";
}

// Copying.

/** @param {HTMLElement} pressed */
async function copy(pressed) {
  const source = document.getElementById(pressed.dataset.copies ?? "");
  const text = source instanceof HTMLTextAreaElement ? source.value : (source?.textContent ?? "");
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.", false);
  } catch {
    if (source instanceof HTMLTextAreaElement) source.select();
    else if (source) getSelection()?.selectAllChildren(source);
    say("The browser does not let the page copy. The text is selected: press Ctrl and C.", true);
  }
}

// Tabs, as the ARIA Authoring Practices describe them.

const tabs = all("[role=tab]");

/** @param {string} id */
function openTab(id) {
  for (const tab of tabs) {
    const isOpen = tab.id === id;
    tab.setAttribute("aria-selected", String(isOpen));
    tab.tabIndex = isOpen ? 0 : -1;
    element(tab.getAttribute("aria-controls") ?? "", HTMLElement).hidden = !isOpen;
  }
  numberLines();
}

/** @param {KeyboardEvent} event */
function moveAmongTabs(event) {
  const place = tabs.findIndex(({ id }) => id === /** @type {HTMLElement} */ (event.target).id);
  const next = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const tab = tabs[(next + tabs.length) % tabs.length];
  openTab(tab.id);
  tab.focus();
}

// The editor: a plain text field, with two keys more. Tab leaves it, as it leaves any field.

/** @param {string} text */
function insert(text) {
  // Deprecated, and the only way in which the browser's own undo takes the change back.
  document.execCommand("insertText", false, text);
}

/** @param {KeyboardEvent} event */
function typeInEditor(event) {
  const { value, selectionStart: start, selectionEnd: end } = policy;
  const lineStart = value.lastIndexOf("\n", start - 1) + 1;
  if (event.key === "Enter" && !event.isComposing && start === end && !event.ctrlKey && !event.metaKey) {
    const indent = /^[ \t]*/.exec(value.slice(lineStart, start))?.[0];
    if (!indent) return;
    event.preventDefault();
    insert(`\n${indent}`);
  } else if (event.key === "/" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    const last = value.indexOf("\n", Math.max(start, end - 1));
    const lineEnd = last < 0 ? value.length : last;
    const lines = value.slice(lineStart, lineEnd).split("\n");
    const isOut = lines.every((line) => /^\s*#|^\s*$/.test(line));
    const changed = lines
      .map((line) => (isOut ? line.replace(/^(\s*)# ?/, "$1") : line && `# ${line}`))
      .join("\n");
    policy.setSelectionRange(lineStart, lineEnd);
    insert(changed);
    policy.setSelectionRange(lineStart, lineStart + changed.length);
  }
}

// The start.

function restore() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  // Another policy to start with is another start.
  if (!kept || sessionStorage.getItem(`${KEPT}-from`) !== example) {
    sessionStorage.setItem(`${KEPT}-from`, example);
    return;
  }
  policy.value = kept.policy;
  theme.value = kept.theme;
  language.value = kept.language;
  for (const name of ["layout", "later", "scheme"]) {
    const input = document.querySelector(`input[name="${name}"][value="${kept[name]}"]`);
    if (input instanceof HTMLInputElement) input.checked = true;
  }
}

policy.addEventListener("input", () => {
  // The browser's own undo goes on from here.
  before.length = 0;
  undo.disabled = true;
  numberLines();
  later(AFTER_TYPING);
});
policy.addEventListener("keydown", typeInEditor);
policy.addEventListener("scroll", () => {
  element("gutter", HTMLElement).scrollTop = policy.scrollTop;
});
theme.addEventListener("input", () => {
  readProperties();
  later(AFTER_MOVING);
});
undo.addEventListener("click", () => {
  setPolicy(before.pop() ?? policy.value);
  update();
});
element("restart", HTMLButtonElement).addEventListener("click", () => {
  before.push(policy.value);
  setPolicy(example);
  update();
});
language.addEventListener("change", update);
element("add-language", HTMLButtonElement).addEventListener("click", async () => {
  if (await edit("add_language", { language: language.value })) language.focus();
});
element("add-purpose", HTMLButtonElement).addEventListener("click", async () => {
  if (!(await edit("add_purpose"))) return;
  const added = document.querySelector("#purposes li:last-child input");
  if (added instanceof HTMLInputElement) added.select();
});
element("again", HTMLButtonElement).addEventListener("click", () => path && load(path));
// The focus has moved only after the event.
addEventListener("blur", () => setTimeout(giveBackFocus));
site.addEventListener("load", () => {
  giveBackFocus();
  keepsFocus = null;
  measure();
});
for (const tab of tabs) {
  tab.addEventListener("click", () => openTab(tab.id));
  tab.addEventListener("keydown", moveAmongTabs);
}
for (const input of all("input[name=layout], input[name=later], input[name=scheme]"))
  input.addEventListener("change", update);
for (const input of all("input[name=width]")) input.addEventListener("change", fit);
for (const pressed of all("[data-copies]")) pressed.addEventListener("click", () => copy(pressed));
for (const pressed of all("[data-theme]"))
  pressed.addEventListener("click", () => {
    theme.value = pressed.dataset.theme ?? "";
    readProperties();
    update();
  });
for (const input of all("[data-property]"))
  input.addEventListener("input", () => {
    if (!(input instanceof HTMLInputElement || input instanceof HTMLSelectElement)) return;
    setProperty(input.dataset.property ?? "", input.value.replace(/[;{}]/g, "").trim());
    readProperties();
    later(AFTER_MOVING);
  });
for (const input of all("[data-helps]"))
  input.addEventListener("input", () => {
    if (!(input instanceof HTMLInputElement)) return;
    setProperty(input.dataset.helps ?? "", input.type === "range" ? `${input.value}em` : input.value);
    readProperties();
    later(AFTER_MOVING);
  });

if (matchMedia("(max-width: 48em)").matches) element("width-phone", HTMLInputElement).checked = true;
language.selectedIndex = -1;
restore();
readProperties();
new ResizeObserver(fit).observe(element("stage", HTMLElement));
fit();
update();
