import type { Mechanisms } from "../../sim/domain/system.js";
import { HALF, casesOf, decode, fromRun, tokensPerSec } from "../cases.js";
import { ascending, max, numberClaim, ratioOf, shapeClaim, simulatedAt } from "../claims.js";
import type { Experiment } from "../experiment.js";

const BASELINE: Partial<Mechanisms> = { decodeOn: "cpu", loading: "rows", cache: "none", overlap: "none", submitters: "compute-threads", prefetchHot: "off" };
const BUNDLE: Partial<Mechanisms> = { ...BASELINE, loading: "bundle" };
const CACHE: Partial<Mechanisms> = { ...BUNDLE, cache: "segmented" };
const PIPELINE: Partial<Mechanisms> = { ...CACHE, loading: "two-phase", overlap: "cluster", submitters: "io-thread", prefetchHot: "under-attention" };

const runWith = (mechanisms?: Partial<Mechanisms>) => decode({ device: "oneplus-12", model: "bamboo-7b", system: "powerinfer-2", memory: HALF }, mechanisms === undefined ? {} : { mechanisms });
/** With the NPU on, all mechanisms are the system's own: the run of Figure 7. */
const STEPS = [
  { key: "baseline", x: "baseline", reported: "0.40", of: runWith(BASELINE) },
  { key: "bundle", x: "+ bundle", reported: "1.09", of: runWith(BUNDLE) },
  { key: "cache", x: "+ neuron cache", reported: "4.18", of: runWith(CACHE), role: "calibration" },
  { key: "pipeline", x: "+ cluster pipeline", reported: "9.60", of: runWith(PIPELINE) },
  { key: "xpu", x: "+ XPU", reported: "11.07", of: runWith(), role: "calibration" },
] as const;

const points = STEPS.map((s) => fromRun({ id: `f14.${s.key}`, series: "powerinfer-2", x: s.x, unit: "tokens/s", reported: s.reported, ...("role" in s ? { role: s.role } : {}) }, s.of, tokensPerSec));

const step = (id: string, text: string, reported: number, after: string, before: string) => numberClaim({ id, text, reported, of: (e) => ratioOf(e, `f14.${after}`, `f14.${before}`) });

export const f14: Experiment = {
  id: "f14",
  paper: "Figure 14",
  title: "What each mechanism adds",
  question: "How much of the decoding speed comes from bundles, the neuron cache, the cluster pipeline and the NPU?",
  cases: casesOf(points),
  points,
  claims: [
    shapeClaim({ id: "f14.all-help", text: "Every mechanism makes decoding faster", of: (e) => STEPS.map((s) => simulatedAt(e, `f14.${s.key}`)), judge: ascending, found: (v) => v.map((x) => x.toFixed(2)).join(" → ") }),
    step("f14.bundle-gain", "Bundles: 2.7×", 1.09 / 0.4, "bundle", "baseline"),
    step("f14.cache-gain", "Neuron cache: 3.83× (printed as 2.82×, the gain over the old value)", 4.18 / 1.09, "cache", "bundle"),
    step("f14.pipeline-gain", "Cluster pipeline: 2.30× (printed as 1.29×, the gain over the old value)", 9.6 / 4.18, "pipeline", "cache"),
    shapeClaim({
      id: "f14.xpu-gain",
      text: "The NPU adds about 15 % (holds from 10 to 20 %)",
      of: (e) => [ratioOf(e, "f14.xpu", "f14.pipeline")],
      judge: ([ratio]) => ratio >= 1.1 && ratio <= 1.2,
      found: ([ratio]) => `${ratio >= 1 ? "+" : "−"}${Math.abs(100 * (ratio - 1)).toFixed(1)} %`,
    }),
    shapeClaim({
      id: "f14.cache-gains-most",
      text: "The neuron cache is the largest step",
      of: (e) => STEPS.slice(1).map((s, i) => ratioOf(e, `f14.${s.key}`, `f14.${STEPS[i].key}`)),
      judge: (ratios) => max(ratios) === ratios[1],
      found: (ratios) => ratios.map((r) => `${r.toFixed(2)}×`).join(", "),
    }),
    numberClaim({
      id: "f14.hit-rate",
      text: "With the neuron cache 95 % of the neurons are found in memory: 5 % of all computed ones are missing",
      reported: 5,
      unit: " %",
      of: ({ lab }) => {
        const record = lab.run(STEPS[2].of.key);
        return record === null ? null : 100 * record.missOfComputed.mean;
      },
    }),
  ],
  chart: { panels: [{ key: "", kind: "bars", title: "OnePlus 12, Bamboo-7B, half of the FFN on flash", yLabel: "tokens/s" }], names: { "+ neuron cache": "+ neuron\ncache", "+ cluster pipeline": "+ cluster\npipeline" } },
};
