/**
 * What `validate host` runs: plans over models that are made up, drawn by a seed so that every choice of a plan is met at several budgets, and
 * split by the same seed into those that constants may be fitted to and those that are only compared.
 */
import { stream, type RandomStream } from "../../sim/base/random.js";
import type { Plan } from "../../sim/domain/plan.js";

/** A made-up model, in the words of `synth`. */
export interface ModelShape {
  readonly name: string;
  readonly architecture: "smallthinker" | "llama";
  readonly activation: "relu" | "silu";
  readonly hidden: number;
  readonly neurons: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly experts: number;
  readonly expertsUsed: number;
  readonly share: number;
  readonly repeat: number | null;
}

/** A dense SiLU model, a sparse dense-FFN one, a sparse mixture of experts: small enough that a run takes seconds, larger than any cache of a processor. */
export const shapes = (quick: boolean): ReadonlyArray<ModelShape> => {
  const layers = quick ? 4 : 12;
  return [
    { name: "silu", architecture: "llama", activation: "silu", hidden: 1536, neurons: 4608, layers, heads: 24, kvHeads: 8, experts: 1, expertsUsed: 1, share: 0.1, repeat: null },
    { name: "sparse", architecture: "smallthinker", activation: "relu", hidden: 2048, neurons: 8192, layers, heads: 32, kvHeads: 8, experts: 1, expertsUsed: 1, share: 0.1, repeat: null },
    { name: "mixture", architecture: "smallthinker", activation: "relu", hidden: 1536, neurons: 2560, layers, heads: 24, kvHeads: 8, experts: 8, expertsUsed: 2, share: 0.12, repeat: 0.5 },
  ];
};

export type Role = "calibration" | "check";

/** One plan of one model. */
export interface Cell {
  readonly id: string;
  readonly model: string;
  readonly role: Role;
  /** Share of the FFN's bytes that the two segments hold. */
  readonly budget: number;
  readonly loading: Plan["mechanisms"]["loading"];
  readonly overlap: Plan["mechanisms"]["overlap"];
  readonly cache: Plan["mechanisms"]["cache"];
  readonly submitters: Plan["mechanisms"]["submitters"];
  readonly reads: number;
  readonly threads: number;
  readonly depth: number;
  readonly cluster: number;
}

const BUDGETS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1] as const;
const LOADINGS = ["two-phase", "bundle", "rows", "expert", "stream"] as const;
const OVERLAPS = ["cluster", "matrix", "none"] as const;
const CACHES = ["segmented", "segmented", "sieve", "window", "static-hot", "lfu"] as const;
const READS = [{ submitters: "compute-threads", reads: 64 }, { submitters: "compute-threads", reads: 16 }, { submitters: "io-thread", reads: 4 }, { submitters: "io-thread", reads: 8 }] as const;
const DEPTHS = [16, 4, 1, 64] as const;
const CLUSTERS = [256, 512, 1024, 2048] as const;

/** Every value of a list as often as any other, in an order drawn anew for each list. */
const dealt = <A>(random: RandomStream, values: ReadonlyArray<A>, count: number): ReadonlyArray<A> => {
  const cards = Array.from({ length: count }, (_, i) => values[i % values.length]!);
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random.uniform() * (i + 1));
    [cards[i], cards[other]] = [cards[other]!, cards[i]!];
  }
  return cards;
};

/** Cells of each model. */
export const PER_MODEL = { full: 16, quick: 4 } as const;

export const cellsOf = (models: ReadonlyArray<string>, seed: number, quick: boolean, cores: number): ReadonlyArray<Cell> => {
  const count = quick ? PER_MODEL.quick : PER_MODEL.full;
  return models.flatMap((model, place) => {
    const random = stream(seed, `validate/${model}`);
    const budgets = dealt(random, BUDGETS, count);
    // Single neurons are what the engine is for: two in five plans read so.
    const loadings = dealt(random, ["two-phase", "two-phase", ...LOADINGS.slice(1), "two-phase"] as const, count);
    const overlaps = dealt(random, ["cluster", "cluster", ...OVERLAPS.slice(1)] as const, count);
    const caches = dealt(random, CACHES, count);
    const reads = dealt(random, READS, count);
    const threads = dealt(random, cores > 1 ? [Math.min(cores, 2), Math.min(cores, 2), 1] : [1], count);
    const depths = dealt(random, DEPTHS, count);
    const clusters = dealt(random, CLUSTERS, count);
    // Of sixteen, five or six; of all together a third.
    const roles = dealt(random, (["calibration", "check", "check"] as const).map((_, i, all) => all[(i + place + 1) % all.length]!), count);
    return budgets.map((budget, i): Cell => ({
      id: `${model}-${String(i + 1).padStart(2, "0")}`, model, role: roles[i]!, budget,
      loading: loadings[i]!, overlap: overlaps[i]!, cache: caches[i]!, ...reads[i]!, threads: threads[i]!, depth: depths[i]!, cluster: clusters[i]!,
    }));
  });
};

/** One run of one cell; the reference cell comes back again and again, so that a machine that drifts shows as one. */
export interface Turn { readonly cell: string; readonly repetition: number; readonly reference: boolean }

/** Between two runs of the reference. */
const EVERY = 8;

/** All cells once, then all again, each time in an order of its own. */
export const turnsOf = (cells: ReadonlyArray<Cell>, repetitions: number, seed: number): ReadonlyArray<Turn> => {
  const random = stream(seed, "validate/turns");
  const turns: Array<Turn> = [];
  let references = 0;
  const reference = referenceOf(cells);
  for (let repetition = 0; repetition < repetitions; repetition++)
    for (const cell of dealt(random, cells.map(({ id }) => id), cells.length)) {
      if (turns.length % EVERY === 0) turns.push({ cell: reference, repetition: references++, reference: true });
      turns.push({ cell, repetition, reference: false });
    }
  return [...turns, { cell: reference, repetition: references, reference: true }];
};

/** The plan nearest to half of a model by single neurons, which uses processor and disk alike. */
export const referenceOf = (cells: ReadonlyArray<Cell>): string =>
  [...cells].sort((a, b) => Number(a.loading !== "two-phase") - Number(b.loading !== "two-phase") || Math.abs(a.budget - 0.5) - Math.abs(b.budget - 0.5) || (a.id < b.id ? -1 : 1))[0]!.id;
