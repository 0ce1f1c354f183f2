/** The two numbers of a storage, and who is to blame when it takes longer than they say. Only sums, products and quotients, so that the engine's are the same bits. */
import type { Rates } from "../../domain/adaptation.js";

/** Device time of so many reads of so many bytes. */
export const readingNs = ({ commandNs, byteNs }: Rates, reads: number, bytes: number): number => commandNs * reads + byteNs * bytes;

/** One of the two may be nothing; then the other is all. */
const sound = (rates: Rates, ns: number, reads: number, bytes: number): Rates => {
  if (rates.commandNs < 0 || !(reads > 0)) return { commandNs: 0, byteNs: bytes > 0 ? ns / bytes : rates.byteNs };
  if (rates.byteNs < 0 || !(bytes > 0)) return { commandNs: ns / reads, byteNs: 0 };
  return rates;
};

/** `reads` of `bytes` took `ns`: by both alike, by commands alone, by bytes alone. */
export const blamed = (rates: Rates, reads: number, bytes: number, ns: number): readonly [even: Rates, commands: Rates, bytes: Rates] => {
  const predicted = readingNs(rates, reads, bytes);
  const ratio = predicted > 0 ? ns / predicted : 1;
  return [
    { commandNs: rates.commandNs * ratio, byteNs: rates.byteNs * ratio },
    sound({ commandNs: (ns - rates.byteNs * bytes) / reads, byteNs: rates.byteNs }, ns, reads, bytes),
    sound({ commandNs: rates.commandNs, byteNs: (ns - rates.commandNs * reads) / bytes }, ns, reads, bytes),
  ];
};

interface Seen { readonly reads: number; readonly bytes: number; readonly readingNs: number }

/** Two mixtures of commands and bytes are much the same below this. */
const ALIKE = 0.01;

const between = (rates: Rates, one: Seen, other: Seen): Rates => {
  const [straight, crossed] = [one.reads * other.bytes, other.reads * one.bytes];
  const apart = straight - crossed;
  if (!(Math.abs(apart) > ALIKE * (straight + crossed))) return rates;
  return sound(
    { commandNs: (one.readingNs * other.bytes - other.readingNs * one.bytes) / apart, byteNs: (one.reads * other.readingNs - other.reads * one.readingNs) / apart },
    one.readingNs + other.readingNs, one.reads + other.reads, one.bytes + other.bytes,
  );
};

/** What was measured may be off by so much. */
const NOISE = 0.03;

/** Two ways of reading are two equations: their solution, and those with the noise at its worst. `rates` where they are too much alike to tell. */
export const solved = (rates: Rates, one: Seen, other: Seen): readonly [likeliest: Rates, one: Rates, other: Rates] => {
  const off = (seen: Seen, by: number): Seen => ({ ...seen, readingNs: seen.readingNs * by });
  return [between(rates, one, other), between(rates, off(one, 1 + NOISE), off(other, 1 - NOISE)), between(rates, off(one, 1 - NOISE), off(other, 1 + NOISE))];
};
