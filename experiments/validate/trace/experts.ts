/**
 * Which experts a text uses: how evenly, and how often again. The simulator's are all as popular as any other and used again with one probability; an expert
 * that is popular is used again for that alone, which is told apart here from being used again because it was used.
 */
import { DISTANCES } from "./overlap.js";
import type { Text } from "./text.js";

export interface ExpertUse {
  readonly layer: number;
  /** Least and greatest share of the uses that an expert has; 1 / experts if all were alike. */
  readonly least: number;
  readonly greatest: number;
  /** As many equal experts would be as unequal: one over the sum of squared shares. */
  readonly effective: number;
  /** Of the experts in use, the share that was in use so many tokens before. */
  readonly repeats: ReadonlyArray<number>;
  /** The share that popularity alone would give at any distance. */
  readonly byPopularity: number;
}

export const expertUses = (text: Text): ReadonlyArray<ExpertUse> =>
  text.layers.map(({ experts }, layer) => {
    const { used, tokens } = text;
    const uses = new Float64Array(text.experts);
    for (const expert of experts) uses[expert]!++;
    const shares = uses.map((count) => count / experts.length);
    const squares = shares.reduce((sum, share) => sum + share * share, 0);
    const repeats = DISTANCES.map((distance) => {
      let again = 0;
      for (let token = distance; token < tokens; token++) {
        const then = experts.subarray((token - distance) * used, (token - distance + 1) * used);
        for (let i = token * used; i < (token + 1) * used; i++) if (then.includes(experts[i]!)) again++;
      }
      return again / Math.max(1, (tokens - distance) * used);
    });
    return { layer, least: Math.min(...shares), greatest: Math.max(...shares), effective: 1 / squares, repeats, byPopularity: used * squares };
  });
