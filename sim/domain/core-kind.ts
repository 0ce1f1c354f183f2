/** What groups of cores are called. */
export const CORE_KINDS = ["big", "mid", "little"] as const;
export type CoreKind = (typeof CORE_KINDS)[number];
