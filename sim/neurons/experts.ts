/**
 * Which experts a layer uses from token to token. Each used expert stays with probability `repeat`; those that leave are
 * replaced by experts not used for the last token, chosen evenly. Seen alone, an expert is then exactly a two-state Markov
 * chain of stationary probability active/count, which is what locality.ts computes with.
 */
import { stream } from "../base/random.js";

export interface ExpertUse {
  readonly count: number;
  /** Experts one step uses; may be fractional for the union of a batch. */
  readonly active: number;
  /** Probability that an expert used in the last step is used again. */
  readonly repeat: number;
  /** The share of the uses that each expert has; absent: all are alike. */
  readonly use?: ReadonlyArray<number>;
}

/**
 * How much of `repeat` is memory and not popularity. An expert that has a share u of the uses is in use with probability q = active u; if it was for
 * the last token, it is again with q + k (1 - q). Averaged over uses that is `repeat`, which gives k; no less than popularity alone brings back.
 */
const memoryOf = (use: ReadonlyArray<number>, active: number, repeat: number): number => {
  const byPopularity = active * use.reduce((sum, share) => sum + share * share, 0);
  return byPopularity >= 1 ? 0 : Math.max(0, (repeat - byPopularity) / (1 - byPopularity));
};

/** Each expert as if all were like it, so that whatever is known of equal experts can be asked of each; just one where they are alike. */
export const expertsApart = (experts: ExpertUse): ReadonlyArray<ExpertUse> => {
  const { count, active, repeat, use } = experts;
  if (use === undefined) return [experts];
  const memory = memoryOf(use, active, repeat);
  return use.map((share) => {
    const q = Math.min(1, active * share);
    return { count, active: q * count, repeat: q + memory * (1 - q) };
  });
};

/** The union of the experts that `batch` independent sequences use: as one use of more experts. */
export const batchExperts = (experts: ExpertUse, batch: number): ExpertUse => {
  if (experts.active >= experts.count) return { count: experts.count, active: experts.count, repeat: 1 };
  // Nobody uses it, however many they are.
  if (experts.active <= 0) return experts;
  const used = experts.active / experts.count;
  const chosenAfterIdle = Math.min(1, ((1 - experts.repeat) * used) / (1 - used));
  const idleNow = (1 - used) ** batch;
  const idleTwice = ((1 - used) * (1 - chosenAfterIdle)) ** batch;
  return { count: experts.count, active: experts.count * (1 - idleNow), repeat: 1 - (idleNow - idleTwice) / (1 - idleNow) };
};

/** The chain of one sequence in one layer. */
export interface ExpertChain {
  /** The experts in use, in no particular order; the same array is refilled by each step. */
  readonly inUse: Int32Array;
  readonly step: () => void;
}

export const createExpertChain = (experts: ExpertUse, seed: number, name: string): ExpertChain => (experts.use === undefined ? evenChain(experts, seed, name) : unevenChain(experts, experts.use, seed, name));

/**
 * Experts of unequal popularity. A token uses its predecessor's with probability k, and otherwise draws anew: `active` different ones, each with
 * its own probability q. Seen alone, an expert is then exactly a chain that is used with probability q and used again with q + k (1 - q), as
 * the closed forms have it; that all of a token's experts stay together, and not each by itself, is the price.
 * Drawn by systematic sampling in random order (Madow 1949): the q lie end to end, and marks one apart from a random start pick whom they hit.
 */
const unevenChain = ({ count, active, repeat }: ExpertUse, use: ReadonlyArray<number>, seed: number, name: string): ExpertChain => {
  const random = stream(seed, name);
  const memory = memoryOf(use, active, repeat);
  const order = Int32Array.from({ length: count }, (_, expert) => expert);
  const inUse = new Int32Array(active);
  const apart = use.reduce((sum, share) => sum + share, 0) / active;
  const draw = (): void => {
    for (let i = count - 1; i > 0; i--) {
      const other = Math.floor(random.uniform() * (i + 1));
      const kept = order[i];
      order[i] = order[other];
      order[other] = kept;
    }
    let mark = random.uniform() * apart;
    let end = 0;
    let drawn = 0;
    for (let i = 0; i < count && drawn < active; i++) {
      end += use[order[i]];
      // The last mark may lie a rounding error behind the last end: then those that are left have to come.
      if (mark >= end && count - i > active - drawn) continue;
      inUse[drawn++] = order[i];
      mark += apart;
    }
  };
  draw();
  return {
    inUse,
    step: () => {
      if (random.uniform() >= memory) draw();
    },
  };
};

const evenChain = (experts: ExpertUse, seed: number, name: string): ExpertChain => {
  const { count, active, repeat } = experts;
  const random = stream(seed, name);
  // order[0..active) are in use, the rest idle; a step moves dropped experts over the border.
  const order = Int32Array.from({ length: count }, (_, i) => i);
  const swap = (a: number, b: number): void => {
    const kept = order[a];
    order[a] = order[b];
    order[b] = kept;
  };
  const start = (): void => {
    for (let i = 0; i < active; i++) swap(i, i + Math.floor(random.uniform() * (count - i)));
  };
  start();
  const inUse = order.subarray(0, active);
  const idle = count - active;
  const step = (): void => {
    // Newcomers are drawn among those idle for the last token: the first `taken` idle places hold just-dropped experts.
    let taken = 0;
    for (let i = 0; i < active; i++) {
      if (taken >= idle || random.uniform() < repeat) continue;
      const first = active + taken;
      swap(first, first + Math.floor(random.uniform() * (idle - taken)));
      swap(i, first);
      taken++;
    }
  };
  return { inUse, step };
};
