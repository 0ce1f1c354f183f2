/**
 * A language model as the machinery sees it: shapes, bytes, and how its neurons behave. One JSON per model in models/.
 */
import { exactly, list, nullable, number, oneOf, optional, refined, text, type TypeOf } from "../base/decode.js";
import { counted, fact, positive, share } from "./fact.js";

/** A point of a skew curve: the hottest `neurons` (share of a layer) carry `activations` (share of all activations); mean over layers, with the range. */
const skewPoint = exactly({ neurons: number(0, 1), activations: number(0, 1), low: number(0, 1), high: number(0, 1) });

/** What a recording says of one layer, where it is known which layer is which. Of one source with the table that it stands in. */
const layerActivations = exactly({
  /** As of all layers, below; and the share of the layer's activations that the hottest neurons carry, at the skew's own points. */
  activeShare: number(1e-4, 1),
  carried: list(number(0, 1), 2),
  tokenOverlap: number(0, 1),
  /** Probability that an expert used for the last token is used again; and the share of the layer's uses that each expert has. */
  expertRepeat: number(0, 1),
  expertUse: list(number(0, 1), 1),
});

const activations = exactly({
  /** Share of the neurons of the experts in use that one token activates, mean over layers. */
  activeShare: fact("ratio", 1e-4, 1),
  skew: exactly({ source: text, note: optional(text, ""), points: list(skewPoint, 2) }),
  /** One by one; null: all layers have `activeShare`, and curves spread evenly over the skew's range (skew.ts). */
  layers: optional(nullable(exactly({ source: text, note: optional(text, ""), table: list(layerActivations, 1) })), null),
  /** Probability that a neuron active for the last token is active again beyond what its own rate gives (0 = independent draws). */
  tokenOverlap: share,
  /** Standard deviation of the logarithm of a token's activity about its mean. */
  tokenVariation: fact("ratio", 0, 2),
  /** Share of predicted neurons whose gate then fires (the rest need no up and down). 1 where the activation has no exact zeros. */
  gateFires: share,
  /** Share of the neurons that would fire which the predictor selects; the rest are lost to the output. Does not change the time. */
  predictorRecall: fact("ratio", 0.01, 1),
});

/** Of the experts that a token uses in a layer, one by one as the router ranks them: the share found among so many experts of the layer that were used last. */
const reusePoint = exactly({ experts: number(1, 1024, true), share: number(0, 1) });
const reuse = exactly({ source: text, note: optional(text, ""), ranks: list(exactly({ points: list(reusePoint, 1) }), 1) });

const experts = exactly({
  count: number(1, 1024, true),
  active: number(1, 1024, true),
  /** Probability that an expert used for the last token is used again (active/count = independent draws). */
  repeat: share,
  /** How long ago experts were used that are used again, where a routing was recorded; null: as `repeat` says, and otherwise evenly. */
  reuse: optional(nullable(reuse), null),
});

/** How the engine's packed file has an FFN: groups of neurons in whole pages, gate rows first (docs/engine.md, "The file"). */
const packing = exactly({
  /** Neurons whose rows share pages: the granule of reads. */
  group: number(1, 1 << 20, true),
  /** One row as it is stored, scales included; down is transposed and may have another format. */
  gateRow: positive("bytes"),
  upRow: positive("bytes"),
  downRow: positive("bytes"),
});

type Activations = TypeOf<typeof activations>;

/** Of a mean that was written beside what it is the mean of. */
const MEAN_WITHIN = 1e-3;

const layerMistakes = ({ skew, layers: own, activeShare, tokenOverlap }: Activations, layers: number, { count, active, repeat }: TypeOf<typeof experts>): ReadonlyArray<{ readonly path: string; readonly message: string }> => {
  if (own === null) return [];
  const ascends = (carried: ReadonlyArray<number>): boolean => carried[0] === 0 && carried.at(-1) === 1 && carried.every((at, i) => i === 0 || carried[i - 1]! <= at);
  const means = ([["activeShare", "activations.activeShare", activeShare.value], ["tokenOverlap", "activations.tokenOverlap", tokenOverlap.value], ["expertRepeat", "experts.repeat", repeat.value]] as const).flatMap(([key, path, stated]) => {
    const mean = own.table.reduce((sum, each) => sum + each[key], 0) / own.table.length;
    return Math.abs(mean - stated) <= MEAN_WITHIN * Math.max(mean, MEAN_WITHIN) ? [] : [{ path: "activations.layers.table", message: `has a mean ${key} of ${mean}, and ${path} says ${stated}: should be the same` }];
  });
  return [
    ...(own.table.length === layers ? [] : [{ path: "activations.layers.table", message: `should have ${layers} entries, one a layer, has ${own.table.length}` }]),
    ...own.table.flatMap(({ carried }, i) => (carried.length === skew.points.length && ascends(carried) ? [] : [{ path: `activations.layers.table[${i}].carried`, message: `should ascend from 0 to 1, with one share for each of the ${skew.points.length} points of the skew` }])),
    ...own.table.flatMap(({ expertUse }, i) => (expertUse.length === count && Math.abs(expertUse.reduce((sum, use) => sum + use, 0) - 1) < 1e-6 ? [] : [{ path: `activations.layers.table[${i}].expertUse`, message: `should have ${count} shares, one an expert, that add up to 1` }])),
    ...own.table.flatMap(({ expertUse }, i) => (expertUse.every((use) => use * active <= 1 + 1e-6) ? [] : [{ path: `activations.layers.table[${i}].expertUse`, message: `should have no share above ${1 / active}: a token uses ${active} experts, each once` }])),
    ...means,
  ];
};

const isReuseCurve = (points: ReadonlyArray<TypeOf<typeof reusePoint>>, count: number): boolean =>
  points.every((point, i) => i === 0 || (points[i - 1]!.experts < point.experts && points[i - 1]!.share <= point.share)) && points.at(-1)!.experts === count && points.at(-1)!.share === 1;

/** What a file of several formats takes, layer by layer, where one number of bits does not say it. Bytes; one source for the table. */
const stored = exactly({
  source: text,
  note: optional(text, ""),
  /** Of one expert, and of all that is no expert. */
  layers: list(exactly({ expertBytes: number(1, 1e12, true), denseBytes: number(1, 1e12, true) }), 1),
  /** Matrices that an expert consists of, each in one piece of the file. */
  matrices: counted(1, 16),
  head: positive("bytes"),
  /** Beside the head; 0 where the two are one matrix. */
  embedding: fact("bytes"),
});

export const modelCodec = refined(
  exactly({
    schema: oneOf("neuronlab/model@1"),
    name: text,
    title: text,
    note: optional(text, ""),
    layers: number(1, 1000, true),
    hidden: number(32, 65536, true),
    ffn: number(32, 1 << 20, true),
    heads: number(1, 1024, true),
    kvHeads: number(1, 1024, true),
    vocabulary: number(2, 1 << 22, true),
    experts,
    activation: oneOf("dReLU", "ReLU", "SiLU"),
    shapesSource: text,
    quantisation: exactly({
      /** Bits of a weight without its scale. */
      weightBits: positive("count", 32),
      /** Scale bits per weight (fp16 for each group of 32 = 0.5). */
      scaleBits: fact("count", 0, 16),
    }),
    /** Of a model that was packed for the engine; null: one neuron a group, rows as `quantisation` says. */
    packing: optional(nullable(packing), null),
    /** Sizes by layer of a real file; null: as `quantisation` says. */
    stored: optional(nullable(stored), null),
    /** Predictor parameters over the whole model; null where none exists. */
    predictorParameters: nullable(positive("count")),
    activations,
  }),
  (m) => [
    ...(m.experts.active <= m.experts.count ? [] : [{ path: "experts.active", message: `must not exceed experts.count (${m.experts.count})` }]),
    ...(m.heads % m.kvHeads === 0 ? [] : [{ path: "kvHeads", message: `should divide heads (${m.heads})` }]),
    ...(m.hidden % m.heads === 0 ? [] : [{ path: "heads", message: `should divide hidden (${m.hidden})` }]),
    ...(m.stored === null || m.stored.layers.length === m.layers ? [] : [{ path: "stored.layers", message: `should have ${m.layers} entries, one a layer, has ${m.stored.layers.length}` }]),
    ...(m.experts.reuse?.ranks ?? []).flatMap(({ points }, i) => (isReuseCurve(points, m.experts.count) ? [] : [{ path: `experts.reuse.ranks[${i}].points`, message: `should ascend in experts and in share, to a share of 1 at experts.count (${m.experts.count})` }])),
    ...(m.activations.skew.points.every((p, i, all) => i === 0 || (all[i - 1]!.neurons < p.neurons && all[i - 1]!.activations <= p.activations)) ? [] : [{ path: "activations.skew.points", message: "should ascend in neurons and in activations" }]),
    ...layerMistakes(m.activations, m.layers, m.experts),
    ...(m.activations.skew.points.every((p) => p.low <= p.activations && p.activations <= p.high) ? [] : [{ path: "activations.skew.points", message: "should have low ≤ activations ≤ high" }]),
  ],
);

export type ModelSpec = TypeOf<typeof modelCodec>;

/** Sizes that follow from the shapes. All in bytes unless named otherwise. */
export interface ModelSizes {
  /** FFN neurons of one expert in one layer, of one layer, and of the whole model. */
  readonly neuronsPerExpert: number;
  readonly neuronsPerLayer: number;
  readonly neurons: number;
  /** One weight row of a neuron (gate, up or down) without and with its scales. */
  readonly rowBytes: number;
  readonly rowBytesWithScales: number;
  /** The three rows with scales: what compute reads from DRAM for a neuron. */
  readonly neuronBytes: number;
  readonly neuronScaleBytes: number;
  /** Attention weights of one layer with scales: all that is no expert, where that is stored; mean over layers. */
  readonly attentionBytes: number;
  readonly headBytes: number;
  readonly embeddingBytes: number;
  readonly predictorBytesPerLayer: number;
  readonly ffnBytes: number;
  readonly nonFfnBytes: number;
  /** Multiply-add operations (two each) of one token: attention projections of a layer, FFN of the active experts of a layer, head. */
  readonly attentionOps: number;
  readonly ffnOps: number;
  readonly headOps: number;
  /** KV cache bytes of one token over all layers, fp16. */
  readonly kvBytesPerToken: number;
}

export const sizesOf = (m: ModelSpec): ModelSizes => {
  const bits = m.quantisation.weightBits.value;
  const withScales = (bits + m.quantisation.scaleBits.value) / 8;
  const headDim = m.hidden / m.heads;
  const kvWidth = m.kvHeads * headDim;
  const attentionParameters = 2 * m.hidden * m.hidden + 2 * m.hidden * kvWidth;
  const neuronsPerLayer = m.ffn * m.experts.count;
  const neurons = neuronsPerLayer * m.layers;
  const rowBytesWithScales = m.hidden * withScales;
  const headBytes = m.stored?.head.value ?? m.vocabulary * m.hidden * withScales;
  const embeddingBytes = m.stored?.embedding.value ?? headBytes;
  const attentionBytes = m.stored === null ? attentionParameters * withScales : m.stored.layers.reduce((sum, layer) => sum + layer.denseBytes, 0) / m.layers;
  return {
    neuronsPerExpert: m.ffn,
    neuronsPerLayer,
    neurons,
    rowBytes: (m.hidden * bits) / 8,
    rowBytesWithScales,
    neuronBytes: 3 * rowBytesWithScales,
    neuronScaleBytes: 3 * (rowBytesWithScales - (m.hidden * bits) / 8),
    attentionBytes,
    headBytes,
    embeddingBytes,
    predictorBytesPerLayer: ((m.predictorParameters?.value ?? 0) * withScales) / m.layers,
    ffnBytes: neurons * 3 * rowBytesWithScales,
    nonFfnBytes: attentionBytes * m.layers + headBytes + embeddingBytes,
    attentionOps: 2 * attentionParameters,
    ffnOps: 2 * 3 * m.hidden * m.ffn * m.experts.active,
    headOps: 2 * m.vocabulary * m.hidden,
    kvBytesPerToken: m.layers * 2 * kvWidth * 2,
  };
};

/** Bytes of a gate row, and of up and down together, as the engine keeps them; and the neurons whose rows share pages of its file. */
export interface Rows { readonly group: number; readonly gateRow: number; readonly upDownRow: number }

/** As the packed file has them, or as the model's quantisation says. */
export const rowsOf = (model: ModelSpec): Rows => {
  const packed = model.packing;
  if (packed !== null) return { group: packed.group, gateRow: packed.gateRow.value, upDownRow: packed.upRow.value + packed.downRow.value };
  const row = sizesOf(model).rowBytesWithScales;
  return { group: 1, gateRow: row, upDownRow: 2 * row };
};

/** One expert of a layer as it lies in the file, the pieces that it lies in, and what of the layer is no expert; bytes. */
export interface StoredLayer { readonly expertBytes: number; readonly pieces: number; readonly denseBytes: number }

/** Gate, up and down, where nothing else is known. */
const MATRICES = 3;

export const storedLayersOf = (m: ModelSpec): ReadonlyArray<StoredLayer> => {
  const { attentionBytes, ffnBytes } = sizesOf(m);
  if (m.stored === null) return Array.from({ length: m.layers }, () => ({ expertBytes: ffnBytes / m.layers / m.experts.count, pieces: MATRICES, denseBytes: attentionBytes }));
  const pieces = m.stored.matrices.value;
  return m.stored.layers.map(({ expertBytes, denseBytes }) => ({ expertBytes, pieces, denseBytes }));
};
