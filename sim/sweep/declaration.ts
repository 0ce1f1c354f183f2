/**
 * A declared sweep: what is held, what is varied, how often each point is run and what is looked at. A file has it as JSON, or as a TypeScript
 * module that exports `sweep` of the type below; both are decoded here, with every mistake told at once.
 */
import { custom, exactly, flag, formed, list, mapped, nullable, number, oneOf, optional, refined, text, type Codec, type TypeOf } from "../base/decode.js";
import { E } from "../base/fp.js";
import type { Mistake } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import type { Mechanisms } from "../domain/system.js";
import { METRICS } from "../report/metrics.js";
import { axesOf, dimensionCodec, engineDimensionCodec, type Axis } from "./axis.js";
import { axesIn, constraintCodec } from "./constraint.js";
import { acceptsWord, engineWordOf, type EngineBase, type EngineWord } from "./engine-words.js";
import { MOST_DIMENSIONS } from "./sobol.js";
import { holdsCodec } from "./stability/claims.js";
import { DRAW } from "./stability/draw.js";
import { doubtsCodec } from "./stability/laws.js";
import { decodeMechanism, decodeMemory, decodeOffload, type Target } from "./targets.js";
import type { Value } from "./values.js";

export type MetricName = keyof typeof METRICS;
export const METRIC_NAMES = Object.keys(METRICS) as ReadonlyArray<MetricName>;

/** An axis as a file writes it. */
export interface DeclaredAxis {
  readonly name?: string;
  readonly over: string | ReadonlyArray<string>;
  readonly as?: "value" | "factor";
  readonly values?: ReadonlyArray<Value>;
  readonly range?: { readonly from: Value; readonly to: Value; readonly steps?: number; readonly scale?: "linear" | "log" };
  readonly whatIf?: string;
}
export type DeclaredDimension = DeclaredAxis | { readonly zip: ReadonlyArray<DeclaredAxis> } | { readonly sample: "random" | "latin-hypercube" | "sobol"; readonly points: number; readonly axes: ReadonlyArray<DeclaredAxis> }
  | { readonly sensitivity: "morris"; readonly trajectories?: number; readonly levels?: number; readonly axes: ReadonlyArray<DeclaredAxis> } | { readonly sensitivity: "sobol"; readonly points?: number; readonly axes: ReadonlyArray<DeclaredAxis> };

export type DeclaredPicture =
  | { readonly kind: "lines"; readonly title: string; readonly x: string; readonly y: MetricName; readonly series?: string; readonly panel?: string; readonly log?: boolean }
  | { readonly kind: "heat"; readonly title: string; readonly x: string; readonly y: string; readonly colour: MetricName; readonly panel?: string }
  | { readonly kind: "scatter"; readonly title: string; readonly x: MetricName; readonly y: MetricName; readonly series?: string }
  /** What a design finds of one metric: mu* against sigma, or indices with their intervals. */
  | { readonly kind: "indices"; readonly title: string; readonly metric: MetricName };

interface AnySweep {
  readonly schema: "neuronlab/sweep@1";
  readonly id: string;
  readonly title: string;
  readonly seed?: number;
  readonly axes: ReadonlyArray<DeclaredDimension>;
  readonly where?: ReadonlyArray<unknown>;
  readonly repetitions?: number;
  readonly stop?: { readonly metric: MetricName; readonly halfWidth: number; readonly atMost: number };
  readonly metrics?: ReadonlyArray<MetricName>;
  readonly aims?: ReadonlyArray<{ readonly metric: MetricName; readonly better: "larger" | "smaller" }>;
  /** What it is said to show; see docs/sweeps.md for terms. */
  readonly claims?: ReadonlyArray<{ readonly claim: string; readonly holds: unknown }>;
  readonly picture?: DeclaredPicture;
}

/** What a TypeScript file exports as `sweep`, where the points are runs of the simulator. */
export interface Sweep extends AnySweep {
  readonly program?: "simulator";
  readonly base?: {
    readonly device?: string; readonly model?: string; readonly system?: string;
    readonly memory?: string; readonly offload?: Value;
    readonly phase?: "prefill" | "decode"; readonly prompt?: number; readonly tokens?: number; readonly batch?: number;
    readonly fidelity?: "analytic" | "cluster" | "neuron";
    readonly mechanisms?: Partial<Mechanisms>;
    /** A plan's file, relative to where the command is typed. */
    readonly plan?: string;
  };
  /** Every point again under so many draws of the facts that nobody measured; `spread` is of facts without an interval, a fifth unless it says another. */
  readonly uncertain?: { readonly draws: number; readonly spread?: number };
}

/** The same where they are real runs of the engine on this machine. */
export interface EngineSweep extends AnySweep {
  readonly program: "engine";
  /** GGUF files are packed first, into the cache folder, so that weights can stay on flash. */
  readonly pack?: boolean;
  readonly base?: Partial<Record<EngineWord, Value | boolean>>;
}

const metricName: Codec<MetricName> = custom("metric", (raw) => {
  if (typeof raw === "string" && Object.hasOwn(METRICS, raw)) return E.right(raw as MetricName);
  const near = typeof raw === "string" ? nearest(raw, METRIC_NAMES) : null;
  return E.left(`unknown metric: ${JSON.stringify(raw)};${near === null ? "" : ` did you mean ${near}?`} known: ${METRIC_NAMES.join(", ")}`);
});

const mechanisms: Codec<Partial<Mechanisms>> = custom("mechanisms", (raw) => {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return E.left(`should be an object such as {"overlap": "none"}, got ${JSON.stringify(raw)}`);
  const wrong: Array<string> = [];
  for (const [name, given] of Object.entries(raw)) {
    const read = decodeMechanism(name as keyof Mechanisms, given as Value);
    if (E.isLeft(read)) wrong.push(`${name}: ${read.left}`);
  }
  return wrong.length > 0 ? E.left(wrong.join("; ")) : E.right(raw);
});

const identifier: Codec<string> = custom("id", (raw) => (typeof raw === "string" && /^[a-z0-9][a-z0-9.-]*$/.test(raw) ? E.right(raw) : E.left(`should be small letters, digits, dots and dashes, such as "io-lanes", got ${JSON.stringify(raw)}`)));

const base = exactly({
  device: optional(text, "oneplus-12"),
  model: optional(text, "turbosparse-mixtral-47b"),
  system: optional(text, "powerinfer-2"),
  memory: optional(nullable(custom("memory", (raw) => decodeMemory(raw as Value))), null),
  offload: optional(nullable(custom("offload", (raw) => decodeOffload(raw as Value))), null),
  phase: optional(oneOf("prefill", "decode"), "decode" as const),
  prompt: optional(nullable(number(1, 1 << 20, true)), null),
  tokens: optional(nullable(number(1, 1 << 20, true)), null),
  batch: optional(number(1, 4096, true), 1),
  fidelity: optional(oneOf("analytic", "cluster", "neuron"), "cluster" as const),
  mechanisms: optional(mechanisms, {} as Partial<Mechanisms>),
  plan: optional(nullable(text), null),
});
export type Base = TypeOf<typeof base>;
const NOTHING_SAID: Base = { device: "oneplus-12", model: "turbosparse-mixtral-47b", system: "powerinfer-2", memory: null, offload: null, phase: "decode", prompt: null, tokens: null, batch: 1, fidelity: "cluster", mechanisms: {}, plan: null };

const PICTURES = {
  lines: exactly({ kind: oneOf("lines"), title: text, x: text, y: metricName, series: optional(nullable(text), null), panel: optional(nullable(text), null), log: optional(flag, false) }),
  heat: exactly({ kind: oneOf("heat"), title: text, x: text, y: text, colour: metricName, panel: optional(nullable(text), null) }),
  scatter: exactly({ kind: oneOf("scatter"), title: text, x: metricName, y: metricName, series: optional(nullable(text), null) }),
  indices: exactly({ kind: oneOf("indices"), title: text, metric: metricName }),
} as const;
export type Picture = TypeOf<(typeof PICTURES)[keyof typeof PICTURES]>;

const picture: Codec<Picture> = formed((raw): Codec<Picture> => {
  const kind = typeof raw === "object" && raw !== null ? (raw as { readonly kind?: unknown }).kind : undefined;
  return (typeof kind === "string" && Object.hasOwn(PICTURES, kind) ? PICTURES[kind as keyof typeof PICTURES] : exactly({ kind: oneOf("lines", "heat", "scatter", "indices") })) as unknown as Codec<Picture>;
});

const engineBase: Codec<EngineBase> = custom("base", (raw) => {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return E.left(`should be an object such as {"memory": "900MB"}, got ${JSON.stringify(raw)}`);
  const read: Partial<Record<EngineWord, Value>> = {};
  const wrong: Array<string> = [];
  for (const [name, given] of Object.entries(raw as Readonly<Record<string, unknown>>)) {
    const word = engineWordOf(name);
    const value = given === true ? "on" : given === false ? "off" : given;
    if (E.isLeft(word)) wrong.push(word.left);
    else if (typeof value !== "string" && typeof value !== "number") wrong.push(`${name}: should be a number or a text, got ${JSON.stringify(given)}`);
    else {
      const taken = acceptsWord(word.right, value);
      if (E.isLeft(taken)) wrong.push(`${name}: ${taken.left}`);
      else read[word.right] = taken.right;
    }
  }
  return wrong.length > 0 ? E.left(wrong.join("; ")) : E.right(read);
});

const head = {
  schema: oneOf("neuronlab/sweep@1"),
  id: identifier,
  title: text,
  seed: optional(number(0, 2 ** 32 - 1, true), 1),
};
const tail = {
  where: optional(list(constraintCodec), []),
  repetitions: optional(number(1, 1e4, true), 1),
  stop: optional(nullable(exactly({ metric: metricName, halfWidth: number(1e-6, 1), atMost: number(2, 1e4, true) })), null),
  metrics: optional(list(metricName, 1), ["tokensPerSec"] as ReadonlyArray<MetricName>),
  aims: optional(list(exactly({ metric: metricName, better: oneOf("larger", "smaller") })), []),
  claims: optional(list(exactly({ claim: text, holds: holdsCodec })), []),
  uncertain: optional(nullable(exactly({ draws: number(2, 1e5, true), spread: optional(number(0.001, 0.9), 0.2), facts: optional(nullable(doubtsCodec), null), accepted: optional(nullable(list(number(1, 1e9, true))), null) })), null),
  picture: optional(nullable(picture), null),
};
const fields = exactly({ ...head, program: optional(oneOf("simulator"), "simulator" as const), base: optional(base, NOTHING_SAID), axes: list(dimensionCodec, 1), ...tail });
const engineFields = exactly({ ...head, program: oneOf("engine"), pack: optional(flag, false), base: optional(engineBase, {} as EngineBase), axes: list(engineDimensionCodec, 1), ...tail });

/** `engine`: what all points say, where these are runs of the engine; `base` is the simulator's. */
export type Declaration = Omit<TypeOf<typeof fields>, "program"> & { readonly program: "simulator" | "engine"; readonly engine: { readonly base: EngineBase; readonly pack: boolean } | null };

export const allAxes = (declaration: Pick<Declaration, "axes">): ReadonlyArray<Axis> => declaration.axes.flatMap(axesOf);

const moved = (axes: ReadonlyArray<Axis>, tag: Target["_tag"]): boolean => axes.some((axis) => axis.over.some(({ target }) => target._tag === tag));
const movedField = (axes: ReadonlyArray<Axis>, word: string): boolean => axes.some((axis) => axis.over.some((one) => one.word === word));

const repeated = (words: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(words.filter((word, i) => words.indexOf(word) < i))];

/** Where a picture shows an axis, there must be one of that name. */
const pictureMistakes = (names: ReadonlyArray<string>, shown: Picture): ReadonlyArray<Mistake> => {
  if (shown.kind === "indices") return [];
  const axes = shown.kind === "lines" ? { x: shown.x, series: shown.series, panel: shown.panel } : shown.kind === "heat" ? { x: shown.x, y: shown.y, panel: shown.panel } : { series: shown.series };
  return Object.entries(axes).filter(([, name]) => name !== null && !names.includes(name)).map(([key, name]) => ({ path: `picture.${key}`, message: `there is no axis ${name}; known: ${names.join(", ")}` }));
};

/** By what an axis moves and not by how it is written: a word of the engine may have two names. */
const movedBy = (axis: Axis): ReadonlyArray<string> => axis.over.map(({ word, target }) => (target._tag === "Engine" ? target.word : word));

type Common = Omit<Declaration, "base" | "engine">;

const twice = (d: Common): ReadonlyArray<Mistake> => {
  const axes = allAxes(d);
  const names = axes.map((axis) => axis.name);
  return [
    ...repeated(names).map((name) => ({ path: "axes", message: `two axes have the name ${name}; give one a name of its own` })),
    ...repeated(axes.flatMap(movedBy)).map((word) => ({ path: "axes", message: `${word} is varied by two axes` })),
  ];
};

const unheld = (d: Common): ReadonlyArray<Mistake> => {
  const names = allAxes(d).map((axis) => axis.name);
  const designs = d.axes.filter(({ _tag }) => _tag === "Designed").length;
  return [
    ...d.where.flatMap((one, i) => axesIn(one).filter((name) => !names.includes(name)).map((name) => ({ path: `where[${i}]`, message: `there is no axis ${name}; known: ${names.join(", ")}` }))),
    ...(d.stop !== null && d.stop.atMost < d.repetitions ? [{ path: "stop.atMost", message: `is below repetitions, ${d.repetitions}` }] : []),
    ...d.axes.flatMap((dimension, i) => (dimension._tag === "Sampled" && dimension.method === "sobol" && dimension.axes.length > MOST_DIMENSIONS ? [{ path: `axes[${i}].axes`, message: `has ${dimension.axes.length} axes; the sequence is known for ${MOST_DIMENSIONS}` }] : [])),
    ...(designs > 1 ? [{ path: "axes", message: `have ${designs} designs of sensitivity; a sweep has one, and may cross it with other axes` }] : []),
    ...(d.uncertain !== null && designs > 0 ? [{ path: "uncertain", message: "moves facts, and so does a design of sensitivity; leave one of them out" }] : []),
    ...(d.uncertain?.accepted !== null && d.uncertain !== null && d.uncertain.accepted.length !== d.uncertain.draws ? [{ path: "uncertain.accepted", message: `has ${d.uncertain.accepted.length} entries for ${d.uncertain.draws} draws; leave it out to have them found` }] : []),
    ...(d.uncertain !== null && names.includes(DRAW) ? [{ path: "axes", message: `the name ${DRAW} is that of the draws of uncertain facts; give the axis another` }] : []),
    ...(d.picture?.kind === "indices" && designs === 0 ? [{ path: "picture.kind", message: "shows a design of sensitivity, and the axes have none" }] : []),
    ...(d.picture === null ? [] : pictureMistakes(names, d.picture)),
  ];
};

/** What single fields cannot see of each other, whatever the points are. */
const contradictions = (d: Common): ReadonlyArray<Mistake> => [...twice(d), ...unheld(d), ...(d.uncertain === null ? [] : [{ path: "uncertain", message: "draws facts of profiles, and runs of the engine have none; leave it out" }])];

/** The same, and what only the simulator's fields can contradict. */
const simulated = (d: Omit<Declaration, "engine">): ReadonlyArray<Mistake> => {
  const axes = allAxes(d);
  const several = Number(d.base.memory !== null || moved(axes, "Memory")) + Number(d.base.offload !== null || moved(axes, "Offload")) > 1;
  const planned = d.base.plan !== null;
  return [
    ...twice(d),
    ...(several ? [{ path: "base.offload", message: "says how much memory there is, and so does memory; give one of them" }] : []),
    ...(planned && (several || d.base.memory !== null || d.base.offload !== null || moved(axes, "Memory") || moved(axes, "Offload")) ? [{ path: "base.plan", message: "fixes the memory; leave memory and offload out" }] : []),
    ...(planned && moved(axes, "Name") ? [{ path: "base.plan", message: "is for one device, model and system; leave it out where these are varied" }] : []),
    ...(movedField(axes, "seed") && (d.repetitions > 1 || d.stop !== null) ? [{ path: "repetitions", message: "an axis sets the seed, so a repetition would be the same run" }] : []),
    ...unheld(d),
  ];
};

/** Repetitions to begin with: an interval needs three. */
const atLeast = ({ stop, repetitions }: Pick<Declaration, "stop" | "repetitions">): number => (stop === null ? repetitions : Math.max(Math.min(3, stop.atMost), repetitions));

const simulatorSweep: Codec<Declaration> = mapped(refined(fields, simulated), (d): Declaration => ({ ...d, repetitions: atLeast(d), engine: null }));
const engineSweep: Codec<Declaration> = mapped(refined(engineFields, contradictions), ({ pack, base: said, ...d }): Declaration => ({ ...d, repetitions: atLeast(d), base: NOTHING_SAID, engine: { base: said, pack } }));
const neither = exactly({ program: oneOf("simulator", "engine") }) as unknown as Codec<Declaration>;

export const sweepCodec: Codec<Declaration> = formed((raw) => {
  const program = typeof raw === "object" && raw !== null ? (raw as { readonly program?: unknown }).program : undefined;
  return program === undefined || program === "simulator" ? simulatorSweep : program === "engine" ? engineSweep : neither;
});
