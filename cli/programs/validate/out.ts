/** Where a validation's results lie unless --out says otherwise: those of a quick one never among the stored results of a full one. Pure. */
interface Asked { readonly quick: boolean; readonly out: string | null }

const fullOut = (what: "validate" | "tuned"): string => `results/host/${what}`;

export const outOf = (what: "validate" | "tuned", { quick, out }: Asked): string => out ?? (quick ? `results/quick/${what}` : fullOut(what));

/** Said before the runs, which take minutes. */
export const placeNote = (what: "validate" | "tuned", asked: Asked): string | null =>
  asked.quick && asked.out === null ? `a quick run is kept and written in ${outOf(what, asked)}, and what is stored in ${fullOut(what)} stays as it is; --out names another folder` : null;
