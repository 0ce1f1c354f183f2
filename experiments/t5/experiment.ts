import { HALF, casesOf, decode, fromRun, percent } from "../cases.js";
import { numberClaim, ratioOf } from "../claims.js";
import type { Experiment } from "../experiment.js";

const runOf = (model: string) => decode({ device: "oneplus-12", model, system: "powerinfer-2", memory: HALF }, { tokens: 1024 });
const MIXTRAL = runOf("turbosparse-mixtral-47b");
const BAMBOO = runOf("bamboo-7b");

const latency = (id: string, panel: string, from: typeof MIXTRAL, x: string, key: "mean" | "p50" | "p90" | "p99", reported: string, calibration = false) =>
  fromRun({ id, panel, series: "powerinfer-2", x, unit: "ms", reported, ...(calibration ? { role: "calibration" as const } : {}) }, from, (r) => r.msPerToken[key]);

const points = [
  latency("t5.mixtral.mean", "mixtral", MIXTRAL, "mean", "mean", "99.76", true),
  latency("t5.mixtral.p50", "mixtral", MIXTRAL, "P50", "p50", "97.42"),
  latency("t5.mixtral.p90", "mixtral", MIXTRAL, "P90", "p90", "116.16"),
  latency("t5.mixtral.p99", "mixtral", MIXTRAL, "P99", "p99", "140.56"),
  fromRun({ id: "t5.mixtral.p90-over-mean", panel: "spread", series: "powerinfer-2", x: "P90", unit: "×", reported: "1.165", role: "calibration", note: "the text: P90 is 16.5 % above the mean" }, MIXTRAL, (r) => r.msPerToken.p90 / r.msPerToken.mean),
  fromRun({ id: "t5.mixtral.p99-over-mean", panel: "spread", series: "powerinfer-2", x: "P99", unit: "×", reported: "1.409", note: "the text: P99 is 40.9 % above the mean" }, MIXTRAL, (r) => r.msPerToken.p99 / r.msPerToken.mean),
  latency("t5.bamboo.mean", "bamboo", BAMBOO, "mean", "mean", "90.32", true),
  latency("t5.bamboo.p50", "bamboo", BAMBOO, "P50", "p50", "86.88"),
  fromRun({ id: "t5.mixtral.miss-mean", panel: "miss", series: "powerinfer-2", x: "mean", unit: "%", reported: "3.5", note: "misses over all neurons computed, the dense hot rows included" }, MIXTRAL, (r) => percent(r.missOfComputed.mean)),
  fromRun({ id: "t5.mixtral.miss-p99", panel: "miss", series: "powerinfer-2", x: "P99", unit: "%", reported: "18.9", note: "misses over all neurons computed, the dense hot rows included" }, MIXTRAL, (r) => percent(r.missOfComputed.p99)),
];

export const t5: Experiment = {
  id: "t5",
  paper: "Table 5",
  title: "Decoding latency of PowerInfer-2, token by token",
  question: "How evenly do 1,024 tokens come, and does the tail follow the cache misses?",
  cases: casesOf(points),
  points,
  claims: [
    numberClaim({ id: "t5.p90", text: "Mixtral-47B: P90 is 1.165× the mean", reported: 1.165, of: (e) => ratioOf(e, "t5.mixtral.p90", "t5.mixtral.mean") }),
    numberClaim({ id: "t5.p99", text: "Mixtral-47B: P99 is 1.409× the mean", reported: 1.409, of: (e) => ratioOf(e, "t5.mixtral.p99", "t5.mixtral.mean") }),
    numberClaim({ id: "t5.miss-tail", text: "Mixtral-47B: the P99 miss rate is 5.4× the mean miss rate", reported: 18.9 / 3.5, of: (e) => ratioOf(e, "t5.mixtral.miss-p99", "t5.mixtral.miss-mean") }),
  ],
  chart: {
    panels: [
      { key: "mixtral", kind: "bars", title: "Mixtral-47B, latency", yLabel: "ms/token", columns: 2 },
      { key: "spread", kind: "bars", title: "Mixtral-47B, over the mean", yLabel: "ratio", columns: 2 },
      { key: "bamboo", kind: "bars", title: "Bamboo-7B, latency", yLabel: "ms/token", columns: 2 },
      { key: "miss", kind: "bars", title: "Mixtral-47B, cache misses", yLabel: "% of neurons", columns: 2 },
    ],
  },
};
