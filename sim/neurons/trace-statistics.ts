/**
 * What a recorded text says of a model's activations, in the terms that models/*.json have: so that it can stand in their place, at any
 * fidelity. The engine measures a made-up model in the same way (engine/crates/synth/src/firing.rs).
 */
import type { ModelSpec } from "../domain/model.js";
import type { Fact } from "../domain/fact.js";
import type { ActivationTrace } from "./trace.js";

export interface TraceStatistics {
  /** Mean over layers of the share of neurons that a token activates; 1 where neurons are not recorded. */
  readonly activeShare: number;
  readonly skew: ReadonlyArray<{ readonly neurons: number; readonly activations: number; readonly low: number; readonly high: number }>;
  /** Layer by layer: the same, its curve at the skew's points. Empty where neurons are not recorded. */
  readonly layers: ReadonlyArray<{ readonly activeShare: number; readonly carried: ReadonlyArray<number>; readonly tokenOverlap: number; readonly expertRepeat: number; readonly expertUse: ReadonlyArray<number> }>;
  readonly tokenOverlap: number;
  readonly tokenVariation: number;
  readonly expertRepeat: number;
}

/** Where on the curve: as the shipped models have it up to a half, then fewer. */
const POINTS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.75, 0.9] as const;

/** The halves of a text take turns after so many tokens: enough that they share little but the overlap at their ends. */
const HALF_BLOCK = 32;

const mean = (all: ReadonlyArray<number>): number => all.reduce((sum, one) => sum + one, 0) / Math.max(all.length, 1);

/** One layer's counts; tables are experts by neurons. */
interface Counts {
  readonly uses: readonly [Int32Array, Int32Array];
  readonly active: readonly [Int32Array, Int32Array];
  /** Active for a token whose next one used the expert too; and for two tokens in a row. */
  readonly before: Int32Array;
  readonly again: Int32Array;
  readonly repeats: number;
  /** Active neurons by token. */
  readonly byToken: Float64Array;
}

const count = (trace: ActivationTrace, layer: number): Counts => {
  const { experts, ffn, tokens } = trace;
  const table = (): Int32Array => new Int32Array(experts * ffn);
  const [uses, active] = [[new Int32Array(experts), new Int32Array(experts)] as const, [table(), table()] as const];
  const [before, again, byToken] = [table(), table(), new Float64Array(tokens)];
  const wasUsed = new Uint8Array(experts);
  const isUsed = new Uint8Array(experts);
  const wasActive = new Uint8Array(experts * ffn);
  let [last, now] = [new Int32Array(trace.active * ffn), new Int32Array(trace.active * ffn)];
  const inUse = new Int32Array(trace.active);
  let [lastFound, repeats] = [0, 0];
  for (let token = 0; token < tokens; token++) {
    const half = Math.floor(token / HALF_BLOCK) % 2 === 0 ? 0 : 1;
    trace.expertsInto(token, layer, inUse);
    const found = trace.neuronsInto(token, layer, now);
    isUsed.fill(0);
    for (const expert of inUse) {
      isUsed[expert] = 1;
      uses[half][expert]!++;
      repeats += wasUsed[expert]!;
    }
    for (let i = 0; i < lastFound; i++) if (isUsed[Math.floor(last[i]! / ffn)] === 1) before[last[i]!]!++;
    for (let i = 0; i < found; i++) {
      active[half][now[i]!]!++;
      again[now[i]!]! += wasActive[now[i]!]!;
    }
    for (let i = 0; i < lastFound; i++) wasActive[last[i]!] = 0;
    for (let i = 0; i < found; i++) wasActive[now[i]!] = 1;
    wasUsed.set(isUsed);
    byToken[token] = found;
    [last, now, lastFound] = [now, last, found];
  }
  return { uses, active, before, again, repeats, byToken };
};

const rateOf = ({ uses, active }: Counts, ffn: number, place: number): number => {
  const expert = Math.floor(place / ffn);
  return (active[0][place]! + active[1][place]!) / Math.max(uses[0][expert]! + uses[1][expert]!, 1);
};

/** P(again) = overlap + (1 - overlap) x rate, over pairs of tokens that used the same expert; null where there were none. */
const overlapOf = (counts: Counts, ffn: number): number | null => {
  let [again, before, byChance] = [0, 0, 0];
  for (let place = 0; place < counts.before.length; place++) {
    again += counts.again[place]!;
    before += counts.before[place]!;
    byChance += counts.before[place]! * rateOf(counts, ffn, place);
  }
  return before > byChance ? (again - byChance) / (before - byChance) : null;
};

/** Share of the activations of the hottest neurons; which these are is found in one half of the text and counted in the other, both ways. */
const carriedBy = (counts: Counts, ffn: number): ReadonlyArray<number> => {
  const rates = counts.active.map((half, which) => Float64Array.from(half, (active, place) => active / Math.max(counts.uses[which]![Math.floor(place / ffn)]!, 1)));
  const ranked = (by: 0 | 1): Float64Array => {
    const order = Int32Array.from(rates[by]!, (_, place) => place).sort((a, b) => rates[by]![b]! - rates[by]![a]! || a - b);
    return Float64Array.from(order, (place) => rates[1 - by]![place]!);
  };
  const curves = [ranked(0), ranked(1)];
  const carried = (curve: Float64Array, share: number): number => {
    const total = curve.reduce((sum, rate) => sum + rate, 0);
    const end = share * curve.length;
    const whole = Math.floor(end);
    const part = curve.subarray(0, whole).reduce((sum, rate) => sum + rate, 0) + (curve[whole] ?? 0) * (end - whole);
    return total > 0 ? part / total : share;
  };
  return POINTS.map((share) => mean(curves.map((curve) => carried(curve, share))));
};

/** No curve falls, and none lies below an even spread: what noise does to single points is taken back. */
const rising = (points: ReadonlyArray<number>): ReadonlyArray<number> => points.map((_, i) => Math.min(1, Math.max(POINTS[i]!, ...points.slice(0, i + 1))));

const variationOf = (all: ReadonlyArray<Counts>): number => {
  const totals = Array.from(all[0]!.byToken, (_, token) => all.reduce((sum, layer) => sum + layer.byToken[token]!, 0)).filter((total) => total > 0);
  const logarithms = totals.map(Math.log);
  const centre = mean(logarithms);
  return Math.sqrt(mean(logarithms.map((one) => (one - centre) ** 2)));
};

export const traceStatistics = (trace: ActivationTrace): TraceStatistics => {
  const { layers, ffn, tokens, neuronsRecorded } = trace;
  const all = Array.from({ length: layers }, (_, layer) => count(trace, layer));
  const repeats = all.map((counts) => (trace.active === trace.experts || tokens < 2 ? 1 : counts.repeats / ((tokens - 1) * trace.active)));
  const expertRepeat = mean(repeats);
  if (!neuronsRecorded) return { activeShare: 1, skew: [0, 1].map((at) => ({ neurons: at, activations: at, low: at, high: at })), layers: [], tokenOverlap: 0, tokenVariation: 0, expertRepeat };
  const curves = all.map((counts) => rising(carriedBy(counts, ffn)));
  const point = (neurons: number, place: number) => {
    const at = curves.map((curve) => curve[place]!);
    const [low, high] = [Math.min(...at), Math.max(...at)];
    // Where layers are alike, the rounding of a mean may leave the range.
    return { neurons, activations: Math.min(high, Math.max(low, mean(at))), low, high };
  };
  const ends = (at: number) => ({ neurons: at, activations: at, low: at, high: at });
  const overlaps = all.map((counts) => overlapOf(counts, ffn));
  const shares = all.map(({ byToken }) => mean(Array.from(byToken)) / (trace.active * ffn));
  return {
    activeShare: mean(shares),
    skew: [ends(0), ...POINTS.map(point), ends(1)],
    layers: all.map(({ uses }, layer) => ({
      activeShare: shares[layer]!, carried: [0, ...curves[layer]!, 1], tokenOverlap: lasting(overlaps[layer]), expertRepeat: repeats[layer]!,
      expertUse: Array.from(uses[0], (first, expert) => (first + uses[1][expert]!) / (tokens * trace.active)),
    })),
    tokenOverlap: mean(overlaps.map(lasting)),
    tokenVariation: variationOf(all),
    expertRepeat,
  };
};

/** A neuron that is likelier to rest after it fired, and a layer without a pair of tokens, are taken as if nothing lasted. */
const lasting = (overlap: number | null | undefined): number => Math.min(1, Math.max(0, overlap ?? 0));

/** The decoder wants a share above none: a text in which nothing fired says less than that. */
const atLeast = (share: number): number => Math.max(share, 1e-4);

/** What activations and experts of a model look like with the statistics of a trace in their place. */
export const measuredActivations = (statistics: TraceStatistics, tokens: number, source: string): { readonly activations: Pick<ModelSpec["activations"], "activeShare" | "skew" | "layers" | "tokenOverlap" | "tokenVariation">; readonly repeat: Fact } => {
  const measured = (value: number, note: string): Fact => ({ value, kind: "measured", source, note });
  const over = `over ${tokens} tokens`;
  const table = statistics.layers.map((each) => ({ ...each, activeShare: atLeast(each.activeShare), carried: [...each.carried], expertUse: [...each.expertUse] }));
  const share = table.length === 0 ? statistics.activeShare : mean(table.map((each) => each.activeShare));
  return {
    activations: {
      activeShare: measured(atLeast(share), `mean over layers and tokens, ${over}`),
      skew: { source, note: `mean, least and greatest layer, ${over}; hot neurons found in one half of the text and counted in the other`, points: [...statistics.skew] },
      layers: statistics.layers.length === 0 ? null : { source, note: `layer by layer, as the curve above, ${over}`, table },
      tokenOverlap: measured(statistics.tokenOverlap, `mean over layers, of those below 0 taken as 0, ${over}`),
      tokenVariation: measured(Math.min(statistics.tokenVariation, 2), `of all layers together, ${over}`),
    },
    repeat: measured(statistics.expertRepeat, over),
  };
};

/** The model, its neurons as the trace has them. */
export const asRecorded = (model: ModelSpec, trace: ActivationTrace, source: string): ModelSpec => {
  const { activations, repeat } = measuredActivations(traceStatistics(trace), trace.tokens, source);
  return { ...model, experts: { ...model.experts, repeat }, activations: { ...model.activations, ...(trace.neuronsRecorded ? activations : {}) } };
};
