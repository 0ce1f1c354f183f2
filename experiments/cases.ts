/** Builders of runs and points, so that an experiment's file reads like the paper's table. */
import type { MemoryRequest, SimulatedRun, RunRequest } from "../sim/domain/run.js";
import type { Mechanisms } from "../sim/domain/system.js";
import type { Case, PointSpec, Role } from "./experiment.js";

export const ALL: MemoryRequest = { _tag: "All" };
export const HALF: MemoryRequest = { _tag: "OffloadFfn", share: 0.5 };
/** The paper's GB of memory are read as 2^30 bytes, in all figures: only then do the parts of its 7 GB budget add up (docs/model.md). */
const GIGABYTE = 2 ** 30;
export const gigabytes = (gb: number): MemoryRequest => ({ _tag: "Bytes", bytes: gb * GIGABYTE });
/** "Three quarters of the FFN on flash" for Mixtral on the Ace 2 is what the 11 GB that phone gives one app leave: they hold about 22 % of the FFN beside predictors and scales. */
export const ACE_2_LIMIT = gigabytes(11);

const memoryWord = (memory: MemoryRequest): string => {
  switch (memory._tag) {
    case "All":
      return "all";
    case "Bytes":
      return `${memory.bytes / GIGABYTE}GB`;
    case "OffloadFfn":
      return `offload-${memory.share}`;
  }
};

const keyOf = (r: RunRequest): string =>
  [
    r.device,
    r.model,
    r.system,
    memoryWord(r.memory),
    r.phase === "prefill" ? `prefill-${r.prompt}` : `decode-${r.prompt}+${r.tokens}`,
    `batch-${r.batch}`,
    ...(r.mechanisms === undefined ? [] : [Object.entries(r.mechanisms).map(([name, value]) => `${name}=${value}`).sort().join(",")]),
  ].join("/");

const caseOf = (request: RunRequest): Case => ({ key: keyOf(request), request });

/** What every run names. */
export interface Setting { readonly device: string; readonly model: string; readonly system: string; readonly memory: MemoryRequest }

/** The paper's decode workload begins with a prompt of at most 64 tokens; 128 tokens give a mean, 1,024 the percentiles of Table 5. */
export const decode = (setting: Setting, more: { readonly batch?: number; readonly tokens?: number; readonly mechanisms?: Partial<Mechanisms> } = {}): Case =>
  caseOf({
    ...setting,
    phase: "decode",
    prompt: 64,
    tokens: more.tokens ?? 128,
    batch: more.batch ?? 1,
    seed: 1,
    fidelity: "cluster",
    ...(more.mechanisms === undefined ? {} : { mechanisms: more.mechanisms }),
  });

export const prefill = (setting: Setting, prompt: number): Case => caseOf({ ...setting, phase: "prefill", prompt, tokens: 1, batch: 1, seed: 1, fidelity: "cluster" });

/** A printed number: its value and half of its last digit. "404.6" → 404.6 ± 0.05. */
export const printed = (text: string): { readonly reported: number; readonly printed: number } => {
  const decimals = text.includes(".") ? text.length - text.indexOf(".") - 1 : 0;
  return { reported: Number(text), printed: 0.5 * 10 ** -decimals };
};

export interface PointHead {
  readonly id: string;
  readonly panel?: string;
  readonly series: string;
  readonly x: number | string;
  readonly unit: string;
  /** As the paper prints it, so that its rounding is known; or a value with its half-width where it follows from a stated ratio. */
  readonly reported: string | { readonly reported: number; readonly printed: number };
  readonly role?: Role;
  readonly note?: string;
}

const head = (h: PointHead): Omit<PointSpec, "uses" | "simulated"> => ({
  id: h.id,
  panel: h.panel ?? "",
  series: h.series,
  x: h.x,
  unit: h.unit,
  ...(typeof h.reported === "string" ? printed(h.reported) : h.reported),
  role: h.role ?? "check",
  ...(h.note === undefined ? {} : { note: h.note }),
});

/** A point read from one run. */
export const fromRun = (h: PointHead, from: Case, pick: (record: SimulatedRun) => number | null): PointSpec => ({
  ...head(h),
  uses: [from],
  simulated: (lab) => {
    const record = lab.run(from.key);
    return record === null ? null : pick(record);
  },
});

/** A ratio of the same quantity in two runs. */
export const fromRatio = (h: PointHead, over: Case, under: Case, pick: (record: SimulatedRun) => number): PointSpec => ({
  ...head(h),
  uses: [over, under],
  simulated: (lab) => {
    const [a, b] = [lab.run(over.key), lab.run(under.key)];
    return a === null || b === null ? null : pick(a) / pick(b);
  },
});

/** A point that needs no run: a property of the device or the model. */
export const fromProfile = (h: PointHead, simulated: PointSpec["simulated"]): PointSpec => ({ ...head(h), uses: [], simulated });

export const tokensPerSec = (record: SimulatedRun): number => record.tokensPerSec;
export const percent = (share: number): number => 100 * share;
/**
 * Share of the time that goes to getting weights, as the paper's tables split a token in two and no third part: reads behind
 * which nothing computes, and placing in the cache what was read.
 */
export const loadingShare = (record: SimulatedRun): number => {
  const placing = record.breakdown.find((part) => part.activity === "cache")?.nsPerToken ?? 0;
  return record.exposedIoShare + placing / record.breakdown.reduce((sum, part) => sum + part.nsPerToken, 0);
};

/** Each run once, in order of first use. */
export const casesOf = (points: ReadonlyArray<PointSpec>, more: ReadonlyArray<Case> = []): ReadonlyArray<Case> => [
  ...new Map([...points.flatMap((p) => p.uses), ...more].map((c) => [c.key, c])).values(),
];
