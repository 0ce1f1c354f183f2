import { ALL, casesOf, decode, fromRun } from "../cases.js";
import { numberClaim, ratioOf, shapeClaim, simulatedAt } from "../claims.js";
import type { Experiment } from "../experiment.js";

const ROWS = [
  { system: "powerinfer-2", watts: "5.095", joules: "0.257" },
  { system: "llama.cpp", watts: "4.065", joules: "0.672" },
] as const;

/** Both peaks are calibration: the NPU's power is fitted to the first, the cores' are worked out from the second. */
const NOTE = "model and memory mode are not stated: read as Bamboo-7B in memory, where peak power over J/token gives Figure 12's 20 tokens/s";

const points = ROWS.flatMap(({ system, watts, joules }) => {
  const run = decode({ device: "oneplus-12", model: "bamboo-7b", system, memory: ALL });
  return [
    fromRun({ id: `t8.${system}.peak`, panel: "peak", series: system, x: "Bamboo-7B", unit: "W", reported: watts, note: NOTE, role: "calibration" }, run, (r) => r.energy.peakWatts),
    fromRun({ id: `t8.${system}.energy`, panel: "energy", series: system, x: "Bamboo-7B", unit: "J/token", reported: joules, note: NOTE }, run, (r) => r.energy.joulesPerToken),
  ];
});

export const t8: Experiment = {
  id: "t8",
  paper: "Table 8",
  title: "Power and energy of decoding",
  question: "Does a phone that works harder for a shorter time spend less energy on a token?",
  cases: casesOf(points),
  points,
  claims: [
    numberClaim({ id: "t8.energy", text: "llama.cpp spends 2.61× PowerInfer-2's energy on a token", reported: 0.672 / 0.257, of: (e) => ratioOf(e, "t8.llama.cpp.energy", "t8.powerinfer-2.energy") }),
    shapeClaim({
      id: "t8.peak",
      text: "PowerInfer-2 draws the higher peak power",
      of: (e) => [simulatedAt(e, "t8.powerinfer-2.peak"), simulatedAt(e, "t8.llama.cpp.peak")],
      judge: ([a, b]) => a > b,
      found: ([a, b]) => `${a.toFixed(2)} W against ${b.toFixed(2)} W`,
    }),
  ],
  chart: {
    panels: [
      { key: "peak", kind: "bars", title: "Peak power", yLabel: "W", columns: 2 },
      { key: "energy", kind: "bars", title: "Energy of a token", yLabel: "J/token", columns: 2 },
    ],
    names: { "Bamboo-7B": "" },
  },
};
