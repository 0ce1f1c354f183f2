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
}

/** The union of the experts that `batch` independent sequences use: as one use of more experts. */
export const batchExperts = (experts: ExpertUse, batch: number): ExpertUse => {
  if (experts.active >= experts.count) return { count: experts.count, active: experts.count, repeat: 1 };
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

export const createExpertChain = (experts: ExpertUse, seed: number, name: string): ExpertChain => {
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
