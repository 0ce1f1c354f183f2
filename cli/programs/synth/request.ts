/** Words to what a model is made from: flags first, then what a known model says, then the defaults of --help. Pure. */
import { E, type Either } from "../../../sim/base/fp.js";
import type { Exact } from "../../../sim/base/decode.js";
import { badInput, type AppError, type Mistake } from "../../../sim/base/errors.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import { ACTIVATIONS, ARCHITECTURES, WEIGHTS, type SynthRequest } from "../../../engine/index.js";
import { absent, choice, decimal, inputFile, outputFile, share, shared, wholeNumber, word, type Sound } from "../../args.js";

const SIZE = absent(wholeNumber(1, 1 << 24));

/** What a file is made from: of no use where one is only checked. */
const making = {
  out: absent(outputFile),
  model: absent(word("name a known model, or a path to your own .json")),
  layers: SIZE,
  hidden: SIZE,
  neurons: SIZE,
  experts: SIZE,
  used: SIZE,
  heads: SIZE,
  "kv-heads": SIZE,
  "head-dim": SIZE,
  vocabulary: SIZE,
  context: SIZE,
  arch: absent(choice(...ARCHITECTURES)),
  activation: absent(choice(...ACTIVATIONS)),
  weights: absent(choice(...WEIGHTS)),
  share: absent(share),
  skew: absent(word("say even, bamboo, an exponent or points")),
  overlap: absent(decimal(0, 1)),
  repeat: absent(decimal(0, 1)),
  "up-share": absent(share),
  "gate-rank": absent(wholeNumber(32, 1 << 23)),
  name: absent(word("give a name")),
};

export const fields = {
  ...shared,
  ...making,
  check: absent(inputFile),
  "verify-tokens": absent(wholeNumber(0, 1 << 20)),
  threads: absent(wholeNumber(1, 1024)),
};

export type SynthArgs = Exact<typeof fields>;

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

export const contradictions = (args: Sound<typeof fields>): ReadonlyArray<Mistake> => {
  if (!isGiven(args.check)) return args.out === null && "check" in args ? [{ path: "--out", message: "is missing; name the file to write, or with --check one to verify" }] : [];
  const without = (Object.keys(making) as ReadonlyArray<keyof typeof making>).filter((name) => isGiven(args[name]));
  return [
    ...without.map((name) => ({ path: `--${name}`, message: "is for a file that is made, and --check looks at one that is there; leave one of them out" })),
    ...(args["verify-tokens"] === 0 ? [{ path: "--verify-tokens", message: "0 verifies nothing, and --check does nothing else; give at least 2" }] : []),
  ];
};

/** What models/*.json know and no file has. */
export const NOT_PLANTED = ["the variation of a token's activity about the mean (tokenVariation)", "differences between layers (low and high of the skew)", "predictors"] as const;

const ACTIVATION = { dReLU: "drelu", ReLU: "relu", SiLU: "silu" } as const;

const weightsOf = (bits: number): SynthRequest["weights"] => (bits <= 4 ? "q4_0" : bits <= 8 ? "q8_0" : bits <= 16 ? "f16" : "f32");

/** The engine wants shares that leave something inactive. */
const LIMITS = { share: [1e-4, 0.9], upShare: [0.05, 0.95] } as const;

const within = ([low, high]: readonly [number, number], value: number): number => Math.min(Math.max(value, low), high);

type Known = Partial<Omit<SynthRequest, "out" | "seed" | "threads">>;

const ofModel = (model: ModelSpec): Known => {
  const { activations, experts } = model;
  return {
    name: model.name,
    activation: ACTIVATION[model.activation],
    weights: weightsOf(model.quantisation.weightBits.value),
    hidden: model.hidden,
    neurons: model.ffn,
    layers: model.layers,
    heads: model.heads,
    kvHeads: model.kvHeads,
    headDim: model.hidden / model.heads,
    experts: experts.count,
    expertsUsed: experts.active,
    vocabulary: model.vocabulary,
    share: within(LIMITS.share, activations.activeShare.value),
    skew: activations.skew.points.map((point) => `${point.neurons}:${point.activations}`).join(","),
    overlap: activations.tokenOverlap.value,
    repeat: experts.count > experts.active ? experts.repeat.value : null,
    upShare: within(LIMITS.upShare, activations.gateFires.value),
  };
};

export const DEFAULTS = {
  name: "synth", activation: "relu", weights: "q4_0", hidden: 512, neurons: 1536, layers: 4, heads: 8, kvHeads: 4, headDim: 64, experts: 1, expertsUsed: 1,
  vocabulary: 4096, context: 4096, share: 0.1, skew: "bamboo", overlap: 0.3, repeat: null, upShare: 0.8, gateRank: null, seed: 1,
} as const;

/** Flags that would be without effect on this model. */
const idle = (args: SynthArgs, request: SynthRequest): ReadonlyArray<Mistake> => {
  const given = (names: ReadonlyArray<keyof SynthArgs>, message: string): ReadonlyArray<Mistake> => names.filter((name) => args[name] !== null).map((name) => ({ path: `--${name}`, message }));
  return [
    ...(request.activation === "silu" ? given(["share", "skew", "overlap", "gate-rank"], "is of neurons that can be inactive, and silu leaves none; take relu or drelu, or leave it out") : []),
    ...(request.activation === "drelu" ? [] : given(["up-share"], `is for drelu, and the activation is ${request.activation}; leave it out`)),
    ...(request.experts > request.expertsUsed ? [] : given(["repeat"], "is for experts that can change, and all are used for every token; give more --experts, or leave it out")),
  ];
};

export const requestOf = (where: string, args: SynthArgs, model: ModelSpec | null, out: string): Either<AppError, SynthRequest> => {
  const known: Known = model === null ? {} : ofModel(model);
  const activation = args.activation ?? known.activation ?? DEFAULTS.activation;
  const sparse = activation !== "silu";
  const hidden = args.hidden ?? known.hidden ?? DEFAULTS.hidden;
  const request: SynthRequest = {
    out,
    name: args.name ?? known.name ?? DEFAULTS.name,
    architecture: args.arch ?? (activation === "relu" ? "smallthinker" : "llama"),
    activation,
    weights: args.weights ?? known.weights ?? DEFAULTS.weights,
    hidden,
    neurons: args.neurons ?? known.neurons ?? DEFAULTS.neurons,
    layers: args.layers ?? known.layers ?? DEFAULTS.layers,
    heads: args.heads ?? known.heads ?? DEFAULTS.heads,
    kvHeads: args["kv-heads"] ?? known.kvHeads ?? DEFAULTS.kvHeads,
    headDim: args["head-dim"] ?? known.headDim ?? DEFAULTS.headDim,
    experts: args.experts ?? known.experts ?? DEFAULTS.experts,
    expertsUsed: args.used ?? known.expertsUsed ?? DEFAULTS.expertsUsed,
    vocabulary: args.vocabulary ?? known.vocabulary ?? DEFAULTS.vocabulary,
    context: args.context ?? DEFAULTS.context,
    // Of a model whose neurons are all active nothing but the experts is planted; what stands here then has no effect.
    share: args.share ?? (sparse ? known.share : undefined) ?? DEFAULTS.share,
    skew: args.skew ?? (sparse ? known.skew : undefined) ?? DEFAULTS.skew,
    overlap: args.overlap ?? (sparse ? known.overlap : undefined) ?? DEFAULTS.overlap,
    repeat: args.repeat ?? known.repeat ?? DEFAULTS.repeat,
    upShare: args["up-share"] ?? known.upShare ?? DEFAULTS.upShare,
    gateRank: args["gate-rank"] ?? DEFAULTS.gateRank,
    seed: args.seed ?? DEFAULTS.seed,
    threads: args.threads,
  };
  const mistakes = idle(args, request);
  return mistakes.length > 0 ? E.left(badInput(where, mistakes)) : E.right(request);
};
