import { ALL, casesOf, decode, fromRatio, tokensPerSec } from "../cases.js";
import { curveAt, shapeClaim, simulatedAt } from "../claims.js";
import type { CurvePoint, Experiment, Lab } from "../experiment.js";

const SYSTEMS = ["powerinfer-2", "qnn", "powerinfer-2-cpu-only"] as const;
/** One candidate ends after every fourth iteration. */
const BATCHES = [4, 3, 2, 1] as const;
const ITERATIONS = 4;
const caseOf = (system: string, batch: number) => decode({ device: "oneplus-12", model: "bamboo-7b", system, memory: ALL }, { batch });

const ratio = (batch: number, under: (typeof SYSTEMS)[number], reported: string, role: "calibration" | "check" = "check") =>
  fromRatio({ role, id: `f13.N${batch}.${under}`, panel: "ratio", series: under, x: `N = ${batch}`, unit: "×", reported }, caseOf("powerinfer-2", batch), caseOf(under, batch), tokensPerSec);

const points = [ratio(4, "qnn", "1.84"), ratio(4, "powerinfer-2-cpu-only", "1.28"), ratio(1, "qnn", "1.77"), ratio(1, "powerinfer-2-cpu-only", "1.1", "calibration")];

const curveCases = SYSTEMS.flatMap((system) => BATCHES.map((batch, phase) => ({ system, phase, of: caseOf(system, batch) })));
const curves = (lab: Lab): ReadonlyArray<CurvePoint> =>
  curveCases.flatMap(({ system, phase, of }) => {
    const record = lab.run(of.key);
    if (record === null) return [];
    return Array.from({ length: ITERATIONS }, (_, i) => ({ panel: "speed", series: system, x: phase * ITERATIONS + i + 1, value: record.tokensPerSec, unit: "tokens/s" }));
  });

const at = (n: number): number => (4 - n) * ITERATIONS + 1;

export const f13: Experiment = {
  id: "f13",
  paper: "Figure 13",
  title: "Best-of-4 decoding, in memory",
  question: "How does the speed change while four candidates are decoded together and one after the other ends?",
  cases: casesOf(points, curveCases.map((c) => c.of)),
  points,
  curves,
  claims: [
    shapeClaim({
      id: "f13.wins",
      text: "PowerInfer-2 is fastest at every number of candidates",
      of: (e) => BATCHES.flatMap((n) => SYSTEMS.map((system) => curveAt(e, system, at(n), "speed"))),
      judge: (v) => v.every((own, i) => i % 3 !== 0 || (own > v[i + 1] && own > v[i + 2])),
    }),
    shapeClaim({
      id: "f13.qnn-falls-below",
      text: "QNN falls below the CPU-only engine at N = 1",
      of: (e) => [curveAt(e, "qnn", at(1), "speed"), curveAt(e, "powerinfer-2-cpu-only", at(1), "speed")],
      judge: ([qnn, cpu]) => qnn < cpu,
      found: ([qnn, cpu]) => `${qnn.toFixed(1)} against ${cpu.toFixed(1)} tokens/s`,
    }),
    shapeClaim({
      id: "f13.npu-pays-with-batch",
      text: "The NPU's help is larger at N = 4 than at N = 1",
      of: (e) => [4, 1].map((n) => simulatedAt(e, `f13.N${n}.powerinfer-2-cpu-only`)),
      judge: ([four, one]) => four > one,
      found: ([four, one]) => `${four.toFixed(2)}× against ${one.toFixed(2)}× over CPU only`,
    }),
    shapeClaim({
      id: "f13.axis",
      text: "All speeds lie within the figure's axis, 10 to 50 tokens/s",
      of: (e) => e.curves.map((c) => c.value),
      judge: (v) => Math.min(...v) >= 10 && Math.max(...v) <= 50,
      found: (v) => `${Math.min(...v).toFixed(1)} to ${Math.max(...v).toFixed(1)} tokens/s`,
    }),
    shapeClaim({
      id: "f13.falls",
      text: "Every system's total speed falls as candidates end",
      of: (e) => SYSTEMS.flatMap((system) => BATCHES.map((n) => curveAt(e, system, at(n), "speed"))),
      judge: (v) => SYSTEMS.every((_, s) => [1, 2, 3].every((i) => v[s * 4 + i] < v[s * 4 + i - 1])),
    }),
  ],
  chart: {
    panels: [
      { key: "speed", kind: "lines", title: "OnePlus 12, Bamboo-7B: all candidates together", yLabel: "tokens/s", xLabel: "iteration (4, 3, 2, 1 candidates)", xScale: "linear", ticks: [1, 4, 8, 12, 16] },
      { key: "ratio", kind: "bars", title: "PowerInfer-2's lead", yLabel: "×, speed over that of the system shown" },
    ],
  },
};
