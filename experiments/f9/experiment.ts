import type { SimulatedRun } from "../../sim/domain/run.js";
import { HALF, casesOf, fromRun, prefill } from "../cases.js";
import { shapeClaim, simulatedAt } from "../claims.js";
import type { Experiment } from "../experiment.js";

const busyMs = (lane: string) => (record: SimulatedRun): number | null => {
  const used = record.lanes.find((l) => l.lane === lane);
  return used === undefined ? null : used.busyNs / 1e6;
};

/**
 * The FFN's computation: both bars of the figure are shorter than the whole prefill by 0.3 s, which only what lies outside
 * the FFN can take. The NPU computes the FFN on the critical path, so the path's part is its whole time.
 */
const ffnMs = (record: SimulatedRun): number => (record.breakdown.find((b) => b.activity === "dense FFN")?.nsPerToken ?? 0) * record.inputs.prompt * 1e-6;

const MODELS = [
  { model: "bamboo-7b", x: "Bamboo-7B", io: "916", compute: "962" },
  { model: "qwen2-7b-sparse", x: "Qwen2-7B", io: "778", compute: "820" },
] as const;

const NOTE = "which of the group's two labels is I/O cannot be read; the text hides I/O under compute, so the smaller is taken as I/O";

const points = MODELS.flatMap(({ model, x, io, compute }) => {
  const run = prefill({ device: "oneplus-12", model, system: "powerinfer-2", memory: HALF }, 512);
  return [
    fromRun({ id: `f9.${model}.io`, series: "sequential I/O", x, unit: "ms", reported: io, note: NOTE }, run, busyMs("flash")),
    fromRun({ id: `f9.${model}.compute`, series: "computation", x, unit: "ms", reported: compute, note: NOTE }, run, ffnMs),
  ];
});

export const f9: Experiment = {
  id: "f9",
  paper: "Figure 9",
  title: "I/O and computation of a 512-token prefill",
  question: "Does reading the weights sequentially hide under the NPU's computation?",
  cases: casesOf(points),
  points,
  claims: [
    shapeClaim({
      id: "f9.io-hides",
      text: "Sequential I/O takes less time than computation, for both models",
      of: (e) => MODELS.flatMap(({ model }) => [simulatedAt(e, `f9.${model}.io`), simulatedAt(e, `f9.${model}.compute`)]),
      judge: ([a, b, c, d]) => a < b && c < d,
      found: ([a, b, c, d]) => `Bamboo-7B ${a.toFixed(0)} under ${b.toFixed(0)} ms, Qwen2-7B ${c.toFixed(0)} under ${d.toFixed(0)} ms`,
    }),
    shapeClaim({
      id: "f9.qwen2-shorter",
      text: "Both bars are shorter for Qwen2-7B than for Bamboo-7B",
      of: (e) => MODELS.flatMap(({ model }) => [simulatedAt(e, `f9.${model}.io`), simulatedAt(e, `f9.${model}.compute`)]),
      judge: ([a, b, c, d]) => c < a && d < b,
    }),
  ],
  chart: { panels: [{ key: "", kind: "bars", title: "OnePlus 12, PowerInfer-2, 512 tokens, half of the FFN on flash", yLabel: "ms busy" }] },
};
