/**
 * How far what fires now says what will fire: the share by which a neuron that fired is more likely to fire again than its own rate says, some tokens
 * later, over pairs of tokens that both used its expert. 0 for independent tokens, 1 for tokens that all fire the same. The simulator has one
 * number for it, at distance 1, and lets it fall in powers of itself.
 */
import { ratesOf, type Text } from "./text.js";

export const DISTANCES = [1, 2, 4, 8, 16] as const;

/** Of one layer, at one distance; null where no pair of tokens shared an expert. */
export const overlapAt = (text: Text, rates: Float64Array, layer: number, distance: number): number | null => {
  const { ffn, used } = text;
  const { experts, starts, ids } = text.layers[layer]!;
  const firedThen = new Uint8Array(rates.length);
  const usedNow = new Uint8Array(text.experts);
  let [before, again, byChance] = [0, 0, 0];
  for (let token = distance; token < text.tokens; token++) {
    const then = token - distance;
    for (let i = token * used; i < (token + 1) * used; i++) usedNow[experts[i]!] = 1;
    for (let i = starts[then]!; i < starts[then + 1]!; i++) {
      const place = ids[i]!;
      firedThen[place] = 1;
      if (usedNow[Math.floor(place / ffn)] === 0) continue;
      before++;
      byChance += rates[place]!;
    }
    for (let i = starts[token]!; i < starts[token + 1]!; i++) again += firedThen[ids[i]!]!;
    for (let i = starts[then]!; i < starts[then + 1]!; i++) firedThen[ids[i]!] = 0;
    for (let i = token * used; i < (token + 1) * used; i++) usedNow[experts[i]!] = 0;
  }
  return before > byChance ? (again - byChance) / (before - byChance) : null;
};

/** Layers by distances. */
export const overlapsOf = (text: Text): ReadonlyArray<ReadonlyArray<number | null>> => {
  const rates = ratesOf(text);
  return rates.map((of, layer) => DISTANCES.map((distance) => overlapAt(text, of, layer, distance)));
};

/** Mean over layers, by distance. */
export const meanOverlaps = (text: Text): ReadonlyArray<number> => {
  const byLayer = overlapsOf(text);
  return DISTANCES.map((_, d) => {
    const known = byLayer.flatMap((row) => (row[d] === null ? [] : [row[d]!]));
    return known.reduce((sum, one) => sum + one, 0) / Math.max(1, known.length);
  });
};
