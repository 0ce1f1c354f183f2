/// <reference types="vite/client" />
/** Every profile of the package, put into the page by the bundler. A machine's own is no part of it. */
import type { Documents } from "./run.js";
import type { Names } from "./state.js";

const byName = (files: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(files).map(([path, document]) => [path.replace(/^.*\/(.*)\.json$/, "$1"), document]).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));

export const documents: Documents = {
  device: byName(import.meta.glob(["../../devices/*.json", "!**/this-host.json"], { eager: true, import: "default" })),
  model: byName(import.meta.glob("../../models/*.json", { eager: true, import: "default" })),
  system: byName(import.meta.glob("../../systems/*.json", { eager: true, import: "default" })),
};

export const names: Names = { device: Object.keys(documents.device), model: Object.keys(documents.model), system: Object.keys(documents.system) };

export const titleOf = (profile: keyof Documents, name: string): string => {
  const document = documents[profile][name];
  return typeof document === "object" && document !== null && "title" in document && typeof document.title === "string" ? document.title : name;
};
