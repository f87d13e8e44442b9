// Builds what the pages load: one script, one style sheet, one sprite of icons.
// Each file's name holds a hash of its content; assets.json says which name is now which. Beside each
// lies what browsers are sent that take it compressed.
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";

import { webDarkTheme, webLightTheme } from "@fluentui/tokens";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "..", "src", "reentra", "web", "static");
const icons = join(here, "node_modules", "@fluentui", "svg-icons", "icons");

/** The custom properties of a theme. What is the same in the light one need not be said again. */
function declarations(theme, except = {}) {
  return Object.entries(theme)
    .filter(([name, value]) => !/Palette/.test(name) && except[name] !== value)
    .map(([name, value]) => `--${name}:${value};`)
    .join("");
}

async function sprite() {
  const names = (await readFile(join(here, "icons.txt"), "utf8")).split("\n").filter(Boolean);
  const symbols = await Promise.all(
    names.map(async (name) => {
      const svg = await readFile(join(icons, `${name}_20_regular.svg`), "utf8");
      const content = svg.replace(/^[^]*?<svg[^>]*>/, "").replace(/<\/svg>\s*$/, "");
      return `<symbol id="${name}" viewBox="0 0 20 20">${content}</symbol>`;
    }),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`;
}

async function styles() {
  const dark = declarations(webDarkTheme, webLightTheme);
  const tokens =
    `:root{${declarations(webLightTheme)}color-scheme:light}` +
    `:root[data-theme="dark"]{${dark}color-scheme:dark}` +
    `@media (prefers-color-scheme:dark){:root:not([data-theme="light"]){${dark}color-scheme:dark}}`;
  const own = await build({
    entryPoints: [join(here, "styles", "app.css")],
    bundle: true,
    minify: true,
    write: false,
  });
  return tokens + own.outputFiles[0].text;
}

async function script() {
  const built = await build({
    entryPoints: [join(here, "scripts", "app.js")],
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    legalComments: "eof",
    write: false,
  });
  return built.outputFiles[0].text;
}

const files = {
  "app.css": await styles(),
  "app.js": await script(),
  "icons.svg": await sprite(),
  "favicon.svg": await readFile(join(here, "favicon.svg"), "utf8"),
};
await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const assets = {};
for (const [name, content] of Object.entries(files)) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 12);
  assets[name] = name.replace(".", `-${hash}.`);
  await writeFile(join(out, assets[name]), content);
  await writeFile(join(out, `${assets[name]}.br`), brotliCompressSync(content));
  await writeFile(join(out, `${assets[name]}.gzip`), gzipSync(content, { level: 9 }));
}
await writeFile(join(out, "assets.json"), `${JSON.stringify(assets, null, 2)}\n`);
