// Bundles the page into dist/, which the collector embeds; with --tests the tests into build/.
//
// A file's name has a hash of what is in it, so that browsers may keep it for ever. The same sources give the same bytes.

import { build } from "esbuild";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

process.chdir(import.meta.dirname ?? new URL(".", import.meta.url).pathname);

/** Everything but what begins with a dot: .gitignore keeps the directory in the repository, the other is of tools/web. */
function empty(directory) {
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(".")) rmSync(`${directory}/${name}`, { recursive: true });
  }
}

async function page() {
  empty("dist");
  const result = await build({
    entryPoints: ["src/main.ts", "src/style.css", "src/icon.svg"],
    loader: { ".svg": "copy" },
    outdir: "dist",
    entryNames: "[name]-[hash]",
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "eof",
    metafile: true,
    logLevel: "warning",
  });
  let html = readFileSync("src/index.html", "utf8");
  for (const [path, output] of Object.entries(result.metafile.outputs)) {
    const name = basename(output.entryPoint ?? "");
    if (!html.includes(`{${name}}`)) throw new Error(`index.html does not refer to ${name}`);
    html = html.replaceAll(`{${name}}`, `assets/${basename(path)}`);
  }
  writeFileSync("dist/index.html", html);
  const sizes = readdirSync("dist").filter((name) => !name.startsWith("."));
  const total = sizes.reduce((sum, name) => sum + readFileSync(`dist/${name}`).length, 0);
  console.log(`the page: ${total} bytes in ${sizes.length} files`);
}

async function tests() {
  empty("build");
  for (const kind of ["unit", "browser"]) {
    await build({
      entryPoints: readdirSync(`test/${kind}`)
        .filter((name) => name.endsWith(".test.ts") || name === "picture.ts")
        .map((name) => `test/${kind}/${name}`),
      outdir: `build/${kind}`,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      packages: "external",
      platform: "node",
      format: "esm",
      target: "node18",
      sourcemap: "inline",
      logLevel: "warning",
    });
  }
}

await (process.argv.includes("--tests") ? tests() : page());
