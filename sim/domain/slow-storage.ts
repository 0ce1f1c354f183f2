/** Storage that becomes slower while a run goes on: what people type for it, and what that means. */
import { E, type Either } from "../base/fp.js";

/** Every read takes longer (a device that is shared, or its clocks are down); every byte does (a link in a lower gear, a limit on bandwidth); every command does (a limit on reads a second). */
export const SLOWED = ["all", "bytes", "reads"] as const;
export interface Slowdown { readonly of: (typeof SLOWED)[number]; readonly factor: number }

/** `token`: decoded before it begins. */
export interface SlowStorage extends Slowdown { readonly token: number }

const FORM = /^(?:(all|bytes|reads):)?(\d+(?:\.\d+)?)@(\d+)$/;
const RIGHT = 'write it like 3@32 (three times slower after 32 tokens), bytes:4@32 or reads:4@32';

export const parseSlowStorage = (typed: string): Either<string, SlowStorage> => {
  const [, of, factor, token] = FORM.exec(typed) ?? [];
  if (factor === undefined || token === undefined) return E.left(`${RIGHT}, got ${typed}`);
  const slow: SlowStorage = { of: (of as SlowStorage["of"] | undefined) ?? "all", factor: Number(factor), token: Number(token) };
  if (!(slow.factor >= 1 && slow.factor <= 1000)) return E.left(`should be 1 to 1000 times slower, got ${factor}; ${RIGHT}`);
  return Number.isSafeInteger(slow.token) && slow.token < 2 ** 32 ? E.right(slow) : E.left(`should begin after fewer tokens, got ${token}; ${RIGHT}`);
};

export const showSlowStorage = ({ of, factor, token }: SlowStorage): string => `${of === "all" ? "" : `${of}:`}${factor}@${token}`;
