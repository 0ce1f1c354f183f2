import { batchUnion, rateBins, type RateBins } from "../../sim/neurons/activation.js";
import { curveAt, curveOf, ascending, numberClaim, shapeClaim } from "../claims.js";
import type { CurvePoint, Experiment, Lab } from "../experiment.js";

const BATCHES = [1, 2, 4, 8, 16, 32] as const;
const LAYERS = [0, 10, 20, 31] as const;
/** "Highly activated" is not defined in the paper: here, active in at least this share of the steps. */
const HIGHLY = 0.95;

const highlyActivated = (bins: RateBins): number => bins.share.reduce((sum, share, i) => sum + (bins.rate[i] >= HIGHLY ? share : 0), 0);

const curves = (lab: Lab): ReadonlyArray<CurvePoint> => {
  const bamboo = lab.model("bamboo-7b");
  const shares = LAYERS.flatMap((layer) => BATCHES.map((batch) => ({ panel: "bamboo", series: `layer ${layer}`, x: batch, value: 100 * highlyActivated(batchUnion(rateBins(bamboo, layer), batch)), unit: "%" })));
  const mixtral = lab.model("turbosparse-mixtral-47b");
  const used = mixtral.experts.active / mixtral.experts.count;
  const probability = [1, 2, 4, 8, 16, 32, 64, 128].map((batch) => {
    const bins = rateBins(mixtral, 10);
    // A neuron's probability in a batch: its expert may be unused by all of the batch's tokens.
    const anyUse = 1 - (1 - used) ** batch;
    const union = batchUnion(bins, batch, 0, used);
    return { panel: "mixtral", series: "mean neuron", x: batch, value: 100 * anyUse * union.share.reduce((sum, share, i) => sum + share * union.rate[i], 0), unit: "%" };
  });
  return [...shares, ...probability];
};

export const f2: Experiment = {
  id: "f2",
  paper: "Figure 2",
  title: "Sparsity fades with the batch",
  question: "Which share of the neurons is highly activated when several tokens are decoded together?",
  cases: [],
  points: [],
  curves,
  claims: [
    shapeClaim({
      id: "f2.batch-1",
      text: "Bamboo-7B, layer 10: fewer than 1 % of the neurons are highly activated at batch 1",
      of: (e) => [curveAt(e, "layer 10", 1, "bamboo")],
      judge: ([share]) => share < 1,
      found: ([share]) => `${share.toFixed(2)} %`,
    }),
    numberClaim({ id: "f2.batch-32", text: "Bamboo-7B, layer 10: about 75 % are at batch 32", reported: 75, unit: " %", of: (e) => curveAt(e, "layer 10", 32, "bamboo") }),
    shapeClaim({
      id: "f2.grows",
      text: "Bamboo-7B, layer 10: the share never falls as the batch grows, and rises from 8 to 16 to 32",
      of: (e) => curveOf(e, "layer 10", "bamboo").map((c) => c.value),
      judge: (values) => values.every((v, i) => i === 0 || v >= values[i - 1]) && ascending(values.slice(3)),
      found: (values) => BATCHES.map((batch, i) => `${batch}: ${values[i].toFixed(1)} %`).join(", "),
    }),
    shapeClaim({
      id: "f2.mixtral-128",
      text: "Mixtral-47B at batch 128: a neuron is active with a probability of 99.99 % (holds from 99 %)",
      of: (e) => [curveAt(e, "mean neuron", 128, "mixtral")],
      judge: ([probability]) => probability >= 99,
      found: ([probability]) => `${probability.toFixed(2)} %`,
    }),
  ],
  chart: {
    panels: [
      { key: "bamboo", kind: "lines", title: `Bamboo-7B: active in ≥ ${100 * HIGHLY} % of steps`, yLabel: "% of a layer's neurons", xLabel: "batch size", xScale: "log", ticks: [...BATCHES], columns: 2, max: 100 },
      { key: "mixtral", kind: "lines", title: "Mixtral-47B: chance to be active", yLabel: "%, mean over neurons", xLabel: "batch size", xScale: "log", ticks: [1, 2, 4, 8, 16, 32, 64, 128], columns: 2, max: 100 },
    ],
  },
};
