/** A recorded model as models/*.json have one: shapes from its file, statistics from the trace. Pure. */
import { basename } from "node:path";
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { Fact } from "../../../sim/domain/fact.js";
import { measuredActivations, traceStatistics } from "../../../sim/neurons/trace-statistics.js";
import type { ActivationTrace } from "../../../sim/neurons/trace.js";
import type { RecordReport } from "../../../engine/index.js";

const ACTIVATION = { drelu: "dReLU", relu: "ReLU", silu: "SiLU" } as const;

/** Of Q4_0, with an fp16 scale for each group of 32: what the shipped models have, and what a phone would hold. */
const BITS = { weight: 4, scale: 0.5 } as const;

/** Rank of a predictor over hidden: that of Bamboo-7B's, whose 0.75e9 parameters are 32 x 1270 x (4096 + 14336). */
const PREDICTOR_RANK = 1270 / 4096;

/** What selects neurons on a phone; a model whose neurons are all active has nothing to select. */
const predictorParameters = ({ activation, layers, experts, hidden, neurons }: RecordReport): Fact | null =>
  activation === "silu" ? null : { value: layers * experts * Math.max(1, Math.round(PREDICTOR_RANK * hidden)) * (hidden + neurons), kind: "estimated", source: "neuronlab estimate", note: "the file has none; of rank 0.31 x hidden, as Bamboo-7B's" };

/** A known model takes no path, and a name with a slash would be one. */
const named = (report: RecordReport): string => (report.name === "" ? "recorded" : report.name.replaceAll(/[^A-Za-z0-9._-]+/g, "-"));

/** `path` is told by its last name: the folders are of one machine, and the spec is read on others. */
export const recordedModel = (report: RecordReport, trace: ActivationTrace, path: string): ModelSpec => {
  const file = basename(path);
  const source = `a text of ${trace.tokens} tokens through ${file}, recorded by the engine`;
  const { activations, repeat } = measuredActivations(traceStatistics(trace), trace.tokens, source);
  const assumed = (value: number, note: string): Fact => ({ value, kind: "estimated", source: "neuronlab estimate", note });
  return {
    schema: "neuronlab/model@1",
    name: named(report),
    title: report.name === "" ? "a recorded model" : report.name,
    note: `written by neuronlab record from ${file}`,
    layers: report.layers,
    hidden: report.hidden,
    ffn: report.neurons,
    heads: report.heads,
    kvHeads: report.kvHeads,
    vocabulary: report.vocabulary,
    experts: { count: report.experts, active: report.expertsUsed, repeat, reuse: null },
    activation: ACTIVATION[report.activation],
    shapesSource: `the header of ${file}`,
    quantisation: { weightBits: assumed(BITS.weight, "as a phone would hold it, whatever the file has"), scaleBits: assumed(BITS.scale, "fp16 for each group of 32 weights") },
    packing: null,
    stored: null,
    predictorParameters: predictorParameters(report),
    activations: {
      ...activations,
      gateFires: { value: 1, kind: "derived", source: "definition", note: "the recording tells neurons that fired, not neurons that a predictor would have chosen" },
      predictorRecall: { value: 1, kind: "derived", source: "definition", note: "no predictor: the true gate decides" },
    },
  };
};
