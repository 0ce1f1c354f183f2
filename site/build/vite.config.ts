/**
 * Notebooks to pages that need no network. Vite bundles; Observable's notebook kit reads the notebooks and runs their cells. The kit's library names
 * servers on the web; here those names lead nowhere.
 */
import { fileURLToPath } from "node:url";
import { config as kitConfig, observable } from "@observablehq/notebook-kit/vite";
import { defineConfig, type Plugin } from "vite";
import { PAGES } from "../pages.js";
import { withResults } from "./results.js";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const STYLES = /<style type="text\/css">\s*@import url\("observable:[^<]*<\/style>/;

/** Cells find libraries by import, and pages bring their own style. */
const withoutTheWeb: Plugin = {
  name: "neuronlab-without-the-web",
  enforce: "pre",
  resolveId(source, importer) {
    if (source.endsWith("/recommendedLibraries.js") && importer?.includes("notebook-kit") === true) return here("../libraries.ts");
    if (/^https?:/.test(source) || source.startsWith("npm:")) return { id: `\0elsewhere:${source}`, moduleSideEffects: false };
    return null;
  },
  load(id) {
    return id.startsWith("\0elsewhere:") ? `export default null; throw new Error(${JSON.stringify(`${id.slice(11)} lies on the web, and this page loads nothing from there`)});` : null;
  },
};

/** After the kit has put its theme in. */
const withoutThemes: Plugin = { name: "neuronlab-without-themes", transformIndexHtml: { order: "pre", handler: (html) => html.replace(STYLES, "") } };

const links = (file: string): string =>
  PAGES.map((page) => `<a href="./${page.file}"${page.file === file ? ' aria-current="page"' : ""}>${page.name}</a>`).join("");

/** Of the kit's aliases, what lies in the kit. */
const aliases = ((kitConfig() as { readonly resolve: { readonly alias: ReadonlyArray<{ readonly find: RegExp; readonly replacement: string }> } }).resolve.alias).filter(({ find }) => String(find).includes("observable"));

export default defineConfig({
  root: here("../../notebooks"),
  base: "./",
  appType: "mpa",
  resolve: { alias: aliases },
  plugins: [
    observable({
      template: here("../template.html"),
      transformTemplate: (html: string, { path }: { readonly path: string }) => html.replace('<nav aria-label="pages"></nav>', `<nav aria-label="pages">${links(path.replace(/^\//, ""))}</nav>`),
    }),
    withoutTheWeb,
    withoutThemes,
    withResults(here("../..")),
  ],
  build: {
    outDir: here("../../dist/site"),
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    // The simulator with all profiles is one chunk of half a megabyte, read from this disk.
    chunkSizeWarningLimit: 1000,
    rolldownOptions: { input: Object.fromEntries(PAGES.map(({ file }) => [file.replace(/\.html$/, ""), here(`../../notebooks/${file}`)])) },
  },
});
