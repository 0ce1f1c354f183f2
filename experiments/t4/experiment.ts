import { HALF, casesOf, decode, fromRun, loadingShare, percent } from "../cases.js";
import { numberClaim, ratioOf } from "../claims.js";
import type { Experiment } from "../experiment.js";

const ROWS = [
  { system: "powerinfer-2", compute: "86.3", io: "13.7" },
  { system: "llm-in-a-flash", compute: "23.3", io: "76.7" },
] as const;

const points = ROWS.flatMap(({ system, compute, io }) => {
  const run = decode({ device: "oneplus-12", model: "bamboo-7b", system, memory: HALF });
  return [
    fromRun({ id: `t4.${system}.compute`, series: system, x: "compute", unit: "%", reported: compute, note: "the complement of I/O" }, run, (r) => percent(1 - loadingShare(r))),
    fromRun({ id: `t4.${system}.io`, series: system, x: "I/O", unit: "%", reported: io }, run, (r) => percent(loadingShare(r))),
  ];
});

export const t4: Experiment = {
  id: "t4",
  paper: "Table 4",
  title: "Compute and I/O on the critical path",
  question: "Which share of a token's time is spent getting weights (reads behind which nothing computes, and placing them), with and without the neuron-cluster pipeline?",
  cases: casesOf(points),
  points,
  claims: [
    numberClaim({ id: "t4.io-hidden", text: "PowerInfer-2's share of I/O is 0.18× of LLM in a Flash's", reported: 13.7 / 76.7, of: (e) => ratioOf(e, "t4.powerinfer-2.io", "t4.llm-in-a-flash.io") }),
  ],
  chart: { panels: [{ key: "", kind: "bars", title: "OnePlus 12, Bamboo-7B, half of the FFN on flash", yLabel: "% of decoding time", max: 100 }] },
};
