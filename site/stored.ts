/** Results as they lie beside the page: by `npm run site` those of the repository, under `neuronlab view` the user's own over them. */
export type From = "yours" | "site";
export interface Stored { readonly path: string; readonly from: From; readonly text: string }

interface Listed { readonly path: string; readonly from: From }

/** The list is asked for once; a file that is not on it is not asked for. */
let list: Promise<ReadonlyArray<Listed>> | null = null;
export const listed = (): Promise<ReadonlyArray<Listed>> => {
  list ??= fetch("./results/index.json").then(async (answer) => (answer.ok ? ((await answer.json()) as { readonly files: ReadonlyArray<Listed> }).files : []));
  return list;
};

export const addressOf = (path: string): string => `./results/${path.split("/").map(encodeURIComponent).join("/")}`;

/** null where there is none. */
export const stored = async (path: string): Promise<Stored | null> => {
  const known = (await listed()).find((file) => file.path === path);
  if (known === undefined) return null;
  const answer = await fetch(addressOf(path));
  return answer.ok ? { path, from: known.from, text: await answer.text() } : null;
};

export const originOf = ({ path, from }: Listed): string => (from === "yours" ? `from your results: ${path}` : `results/${path}`);
