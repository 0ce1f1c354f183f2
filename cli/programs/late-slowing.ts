/** A slowing of storage that begins behind the last pass changes nothing, and whoever asked for it would read a steady run as an adapted one. Pure. */
import type { Mistake } from "../../sim/base/errors.js";
import type { SlowStorage } from "../../sim/domain/slow-storage.js";

const tokensOf = (count: number): string => `${count} ${count === 1 ? "token" : "tokens"}`;

/** `passes`: in which one token each is decoded. What is wrong by itself, and so undefined, takes no part. */
export const lateSlowing = (slow: SlowStorage | null | undefined, passes: number | undefined): ReadonlyArray<Mistake> =>
  slow === null || slow === undefined || passes === undefined || slow.token < passes
    ? []
    : [{ path: "--slow-storage", message: `begins after ${tokensOf(slow.token)}, and ${passes === 0 ? "none is" : `only ${tokensOf(passes)} ${passes === 1 ? "is" : "are"}`} decoded: it would change nothing; begin earlier, or give more --tokens` }];

/** The first token of a text is the prompt's last pass. */
export const decodePasses = (tokens: number): number => Math.max(tokens - 1, 0);
