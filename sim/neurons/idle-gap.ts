/**
 * How long a neuron stays idle between two uses: the law from which every cache's misses follow.
 *
 * Two chains. The EXPERT of a neuron is used in a token with probability q = active/count; if used, again with s =
 * `repeat`; if not, with g = (1-s)q/(1-q), which keeps q stationary. The NEURON lives only in the tokens that use its
 * expert ("visits"): active with its bin's rate r, and with overlap ρ (model.activations.tokenOverlap)
 *     P(active | active at the last visit) = r + ρ(1-r),     P(active | idle at the last visit) = r(1-ρ).
 * Both are two-state chains, so both look the same backwards in time. Write i = 1 - r(1-ρ) for idle-after-idle and
 * d = (1-r)(1-ρ) for idle-next-to-active, and N for the number of visits in a window of w tokens. The window is idle with
 *     probability 1 if N = 0, and  (1-r) i^(N-1)  otherwise, seen from nowhere in particular;
 *     probability 1 if N = 0, and      d i^(N-1)  otherwise, seen backwards from a token in which the neuron is active.
 * The means over N need E[i^N], which is a product of 2x2 matrices: with P the expert's transitions and D = diag(i, 1)
 * over (used, unused), E[i^N | start] = start (PD)^w 1. PD has trace  i s + (1-g)  and determinant  i (s-g), hence
 * eigenvalues λ and the closed form  E[i^N] = c λ₁^w + (1-c) λ₂^w,  c fixed by the value at w = 1, which is i p + (1-p)
 * for p the probability of use in the window's first token: q, s, or g. The same with i = 0 gives P(N = 0) = (1-p)(1-g)^(w-1).
 */
import type { ExpertUse } from "./experts.js";
import type { RateBins } from "./activation.js";

export interface GapLaw {
  /** Expert probabilities as above. */
  readonly used: number;
  readonly repeat: number;
  readonly afterIdle: number;
  /** Per bin: its share of all neurons (not renormalised), its rate, i, d/i and (1-r)/i. */
  readonly share: Float64Array;
  readonly rate: Float64Array;
  readonly idleAgain: Float64Array;
  readonly idleNextToActive: Float64Array;
  readonly idleAnywhere: Float64Array;
  /** Eigenvalues of PD, and the first one's weight starting from nowhere, from a used and from an unused expert. */
  readonly large: Float64Array;
  readonly small: Float64Array;
  readonly weightAnywhere: Float64Array;
  readonly weightUsed: Float64Array;
  readonly weightUnused: Float64Array;
}

/** The law of the neurons ranked within [from, 1) of a layer. */
export const gapLaw = (bins: RateBins, from: number, overlap: number, experts: ExpertUse): GapLaw => {
  const used = experts.active / experts.count;
  // With all experts in use there is no chain; these values make PD = diag(i, 0).
  const repeat = used >= 1 ? 1 : experts.repeat;
  const afterIdle = used >= 1 ? 1 : Math.min(1, ((1 - repeat) * used) / (1 - used));
  const count = bins.share.length;
  const law = {
    used, repeat, afterIdle, share: new Float64Array(count), rate: bins.rate,
    idleAgain: new Float64Array(count), idleNextToActive: new Float64Array(count), idleAnywhere: new Float64Array(count),
    large: new Float64Array(count), small: new Float64Array(count),
    weightAnywhere: new Float64Array(count), weightUsed: new Float64Array(count), weightUnused: new Float64Array(count),
  };
  let start = 0;
  for (let b = 0; b < count; b++) {
    const end = start + bins.share[b];
    const rate = bins.rate[b];
    law.share[b] = Math.max(0, end - Math.max(start, from));
    start = end;
    // A neuron that is always active has i = 0, which is divided by below; its idle windows have probability 0 anyway.
    const idleAgain = Math.max(1e-12, 1 - rate * (1 - overlap));
    law.idleAgain[b] = idleAgain;
    law.idleNextToActive[b] = ((1 - rate) * (1 - overlap)) / idleAgain;
    law.idleAnywhere[b] = (1 - rate) / idleAgain;
    const trace = idleAgain * repeat + (1 - afterIdle);
    const determinant = idleAgain * (repeat - afterIdle);
    const root = Math.sqrt(Math.max(0, trace * trace - 4 * determinant));
    const large = (trace + root) / 2;
    const small = (trace - root) / 2;
    law.large[b] = large;
    law.small[b] = small;
    const weight = (use: number): number => (root > 0 ? (idleAgain * use + (1 - use) - small) / root : 1);
    law.weightAnywhere[b] = weight(used);
    law.weightUsed[b] = weight(repeat);
    law.weightUnused[b] = weight(afterIdle);
  }
  return law;
};

/** By squaring: exponents are whole and mostly small, where this is several times faster than the general power. */
const power = (base: number, exponent: number): number => {
  let result = 1;
  let factor = base;
  let left = exponent;
  while (left > 0 && result !== 0) {
    if (left % 2 === 1) {
      result *= factor;
      left -= 1;
    }
    factor *= factor;
    left /= 2;
  }
  return result;
};

/** Share of all neurons that were active at least once in the last `tokens` (a whole number) tokens. */
export const occupancyWithin = (law: GapLaw, tokens: number): number => {
  if (tokens <= 0) return 0;
  const noVisit = (1 - law.used) * power(1 - law.afterIdle, tokens - 1);
  let occupied = 0;
  for (let b = 0; b < law.share.length; b++) {
    if (law.share[b] === 0) continue;
    const weight = law.weightAnywhere[b];
    const idlePerVisits = weight * power(law.large[b], tokens) + (1 - weight) * power(law.small[b], tokens);
    occupied += law.share[b] * (1 - noVisit - law.idleAnywhere[b] * (idlePerVisits - noVisit));
  }
  return occupied;
};

/** Miss probabilities of an active neuron whose last `tokens` tokens are remembered. */
export interface GapMiss {
  /** Over all active neurons. */
  readonly missOfActive: number;
  /** Given that the neuron's expert was, or was not, in use in the token before. */
  readonly missIfExpertRepeats: number;
  readonly missIfExpertSwitches: number;
}

export const missBeyond = (law: GapLaw, tokens: number): GapMiss => {
  if (tokens <= 0) return { missOfActive: 1, missIfExpertRepeats: 1, missIfExpertSwitches: 1 };
  // The first token back is the given one; the other tokens - 1 follow the chain from there.
  const further = tokens - 1;
  const noVisit = power(1 - law.afterIdle, further);
  let active = 0;
  let repeats = 0;
  let switches = 0;
  for (let b = 0; b < law.share.length; b++) {
    const demand = law.share[b] * law.rate[b];
    if (demand === 0) continue;
    active += demand;
    const large = power(law.large[b], further);
    const small = power(law.small[b], further);
    const fromUsed = law.weightUsed[b] * large + (1 - law.weightUsed[b]) * small;
    const fromUnused = law.weightUnused[b] * large + (1 - law.weightUnused[b]) * small;
    repeats += demand * law.idleNextToActive[b] * law.idleAgain[b] * fromUsed;
    switches += demand * (noVisit + law.idleNextToActive[b] * (fromUnused - noVisit));
  }
  if (active === 0) return { missOfActive: 0, missIfExpertRepeats: 0, missIfExpertSwitches: 0 };
  const missIfExpertRepeats = repeats / active;
  const missIfExpertSwitches = law.used >= 1 ? missIfExpertRepeats : switches / active;
  return { missOfActive: law.repeat * missIfExpertRepeats + (1 - law.repeat) * missIfExpertSwitches, missIfExpertRepeats, missIfExpertSwitches };
};
