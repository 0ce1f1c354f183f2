/**
 * Reading and writing single values in profile JSON by path. Profiles are kept in one canonical layout (two spaces, an
 * object without nested objects on one line), so that a fitted value changes one line of the file and nothing else.
 */
type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json };

const isContainer = (value: Json): value is ReadonlyArray<Json> | { readonly [key: string]: Json } => typeof value === "object" && value !== null;

const inline = (value: Json): string =>
  Array.isArray(value) ? `[${value.map(inline).join(", ")}]`
  : isContainer(value) ? `{ ${Object.entries(value).map(([key, v]) => `${JSON.stringify(key)}: ${inline(v)}`).join(", ")} }`
  : JSON.stringify(value);

const layout = (value: Json, indent: string): string => {
  if (!isContainer(value)) return JSON.stringify(value);
  const children = Array.isArray(value) ? value : Object.values(value);
  if (children.length === 0) return Array.isArray(value) ? "[]" : "{}";
  if (!children.some(isContainer)) return inline(value);
  const deeper = `${indent}  `;
  if (Array.isArray(value)) return `[\n${value.map((v) => `${deeper}${layout(v, deeper)}`).join(",\n")}\n${indent}]`;
  return `{\n${Object.entries(value).map(([key, v]) => `${deeper}${JSON.stringify(key)}: ${layout(v, deeper)}`).join(",\n")}\n${indent}}`;
};

/** The canonical text of a profile. */
export const formatProfile = (value: unknown): string => `${layout(value as Json, "")}\n`;

/** Paths that a pattern with `*` stands for ("flash.random.*.rate"), in order. */
export const expandPath = (root: unknown, pattern: string): ReadonlyArray<string> => {
  let paths = [""];
  for (const key of pattern.split(".")) {
    paths = paths.flatMap((path) => {
      if (key !== "*") return [path === "" ? key : `${path}.${key}`];
      const node = path === "" ? root : valueAt(root, path);
      return Object.keys(node as object).map((k) => (path === "" ? k : `${path}.${k}`));
    });
  }
  return paths;
};

/** The value at a dotted path, or undefined. */
export const valueAt = (root: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((node, key) => (typeof node === "object" && node !== null ? (node as Record<string, unknown>)[key] : undefined), root);

/** A copy of `root` with the value at `path` replaced. */
export const withValueAt = (root: unknown, path: string, value: unknown): unknown => {
  const [key, ...rest] = path.split(".");
  if (key === undefined || key === "") return value;
  const inner = (root as Record<string, unknown>)[key];
  const changed = rest.length === 0 ? value : withValueAt(inner, rest.join("."), value);
  if (Array.isArray(root)) return root.map((item: unknown, i) => (String(i) === key ? changed : item));
  return { ...(root as object), [key]: changed };
};
