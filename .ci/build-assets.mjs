// Minifies the scripts and style sheets of static/ into static/built/; see docs/decisions/013. `--check` only compares.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";

const folder = fileURLToPath(new URL("../static/", import.meta.url));
const built = `${folder}built/`;

/** What is built of all sources: file name -> content. */
function build() {
  const files = {};
  const hashes = {};
  for (const name of readdirSync(folder).sort()) {
    if (!/(?<!\.d)\.(css|js)$/.test(name)) continue;
    const source = readFileSync(folder + name, "utf-8");
    hashes[name] = createHash("sha256").update(source).digest("hex");
    files[name] = transformSync(source, {
      sourcefile: name,
      loader: name.split(".").at(-1),
      minify: true,
      charset: "ascii", // Written into pages of any encoding, too.
      legalComments: "none",
      // Of scripts only: no syntax that the sources do without, of which `||=` is the newest. Style sheets keep theirs.
      target: "es2021",
    }).code.trimEnd();
  }
  return { ...files, "sources.json": `${JSON.stringify(hashes, null, 2)}\n` };
}

function read(name) {
  try {
    return readFileSync(built + name, "utf-8");
  } catch {}
}

const files = build();
mkdirSync(built, { recursive: true });
const other = readdirSync(built).filter((name) => !(name in files));
const changed = Object.keys(files).filter((name) => read(name) !== files[name]);
if (!process.argv.includes("--check")) {
  for (const name of other) rmSync(built + name);
  for (const name of changed) writeFileSync(built + name, files[name]);
} else if (other.length + changed.length) {
  console.error(`static/built/ is not what static/ gives (${[...other, ...changed]}): run \`npm run build\``);
  process.exit(1);
}
