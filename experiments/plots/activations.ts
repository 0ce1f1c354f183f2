/** Stored statistics of a recorded text to panels: the curve of its neurons, how long they are remembered, what caches find. For the command line and for pages. */
import type { CurvePanel } from "./curves.js";

/** What results/model/statistics.json has for pictures. */
export interface ActivationPicture {
  readonly model: string;
  readonly shares: ReadonlyArray<number>;
  readonly layers: ReadonlyArray<{ readonly layer: number; readonly carried: ReadonlyArray<number> }>;
  readonly curve: ReadonlyArray<number>;
  readonly published: { readonly title: string; readonly mean: ReadonlyArray<number>; readonly low: ReadonlyArray<number>; readonly high: ReadonlyArray<number> };
  readonly overlaps: ReadonlyArray<{ readonly distance: number; readonly recorded: number; readonly drawn: number; readonly independent: number }>;
  readonly cells: ReadonlyArray<{ readonly policy: string; readonly unit: number; readonly budget: number; readonly replayed: number; readonly independent: number; readonly drawn: number; readonly closedForm: number; readonly closedByLayer: number }>;
  readonly best: ReadonlyArray<{ readonly budget: number; readonly hitRate: number }>;
}

const [BLUE, VERMILION, GREEN, PURPLE, GREY, SKY] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#6e6e6e", "#56b4e9"] as const;

const percent = (value: number): string => `${Math.round(1000 * value) / 10}%`;

export const frequencyPanel = ({ model, shares, layers, curve, published }: ActivationPicture): CurvePanel => {
  const along = (values: ReadonlyArray<number>) => values.map((y, i) => ({ x: shares[i]!, y }));
  return {
    title: "The hottest neurons and what they carry", xLabel: "neurons of a layer, the hottest first", yLabel: "share of the activations", xScale: "sqrt", ticks: [0.01, 0.05, 0.1, 0.2, 0.5, 1], tick: percent,
    band: { name: `${published.title}, least to greatest layer`, colour: BLUE, points: shares.map((x, i) => ({ x, low: published.low[i]!, high: published.high[i]! })) },
    curves: [
      ...layers.map(({ carried }) => ({ name: `${model}, each layer`, colour: VERMILION, thin: true as const, points: along(carried) })),
      { name: `${model}, as models/*.json has it`, colour: VERMILION, points: along(curve) },
      { name: `${published.title}, published`, colour: BLUE, points: along(published.mean) },
    ],
  };
};

export const overlapPanel = ({ overlaps }: ActivationPicture): CurvePanel => ({
  title: "How long what fires is likelier to fire again", xLabel: "tokens later", yLabel: "beyond the neuron's own rate", xScale: "log", ticks: overlaps.map(({ distance }) => distance), tick: String,
  curves: ([["recorded", VERMILION], ["drawn", GREEN], ["independent", GREY]] as const).map(([of, colour]) => ({ name: of === "drawn" ? "as the simulator draws" : of, colour, dots: true, points: overlaps.map((row) => ({ x: row.distance, y: row[of] })) })),
});

export const cachePanel = ({ cells, best }: ActivationPicture): CurvePanel => {
  const lru = cells.filter(({ policy, unit }) => policy === "lru" && unit === 1);
  const of = (name: string, colour: string, value: (cell: (typeof lru)[number]) => number | null, dash = "") => ({ name, colour, dash, dots: true as const, points: lru.flatMap((cell) => { const y = value(cell); return y === null ? [] : [{ x: cell.budget, y }]; }) });
  return {
    title: "What an LRU of single neurons finds", xLabel: "neurons that the cache holds", yLabel: "hit rate", xScale: "sqrt", ticks: lru.map(({ budget }) => budget), tick: percent,
    curves: [
      of("replayed", VERMILION, ({ replayed }) => replayed), of("independent neurons", GREY, ({ independent }) => independent, "2 3"), of("as the simulator draws", GREEN, ({ drawn }) => drawn), of("closed form", BLUE, ({ closedForm }) => closedForm, "5 4"),
      of("closed form, layer by layer", SKY, ({ closedByLayer }) => closedByLayer, "5 4"), { name: "best possible", colour: PURPLE, dash: "1 3", points: best.map(({ budget, hitRate }) => ({ x: budget, y: hitRate })) },
    ],
  };
};
