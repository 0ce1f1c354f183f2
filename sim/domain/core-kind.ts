/** What groups of cores are called. */
export const CORE_KINDS = ["big", "mid", "little"] as const;
export type CoreKind = (typeof CORE_KINDS)[number];

/** How many threads run on cores of each kind. */
export interface Threads { readonly big: number; readonly mid: number; readonly little: number }
