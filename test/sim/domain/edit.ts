/** A copy of a raw document with the value at a path replaced, or taken out when it is undefined. */
export const edited = (raw: unknown, path: ReadonlyArray<string | number>, value: unknown): unknown => {
  const copy = structuredClone(raw) as Record<string | number, unknown>;
  let at = copy;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
  if (value === undefined) delete at[path.at(-1)!];
  else at[path.at(-1)!] = value;
  return copy;
};
