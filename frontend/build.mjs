// Makes sopnb/widgets/static/browser.js, the licences of what went into it, and the fingerprint of what it was made from.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "..", "sopnb", "widgets", "static");

/** The packages whose code is in the bundle, by what esbuild read. */
function packagesIn(metafile) {
  const names = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const found = input.match(/(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (found) names.add(found[1]);
  }
  return [...names].sort();
}

/** The licence text of a package, as it ships it. */
function licence(name) {
  const folder = join(here, "node_modules", name);
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  // a package that ships none is under the licence it names, by the authors it names
  const text = file ? readFileSync(join(folder, file), "utf8") : `Licensed under ${about.license}. ${about.author?.name ?? about.author ?? ""}`;
  const locked = lock.packages[`node_modules/${name}`]?.version;
  if (locked !== about.version) throw new Error(`${name} ${about.version} is installed, the lock says ${locked}: run npm ci`);
  return `${name} ${about.version} (${about.license})\n\n${text.trim()}\n`;
}

const lock = JSON.parse(readFileSync(join(here, "package-lock.json"), "utf8"));
const result = await build({
  absWorkingDir: here,
  entryPoints: ["src/index.ts"],
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  sourcemap: false,
  legalComments: "none",
  loader: { ".css": "text" },
  charset: "utf8",
  metafile: true,
  write: false,
  logLevel: "warning",
});
const code = result.outputFiles[0].contents;
const rule = "-".repeat(80);
const licences = packagesIn(result.metafile).map(licence).join(`\n${rule}\n\n`);

mkdirSync(out, { recursive: true });
writeFileSync(join(out, "browser.js"), code);
writeFileSync(join(out, "THIRD-PARTY-LICENSES.txt"), `browser.js contains the following packages.\n\n${rule}\n\n${licences}`);
console.log(`browser.js ${(code.length / 1024).toFixed(0)} kB, ${createHash("sha256").update(code).digest("hex").slice(0, 12)}`);
