import type { MemoryRequest, SimulatedRun } from "../../sim/domain/run.js";
import { ALL, HALF, casesOf, decode, fromRun, loadingShare, percent, tokensPerSec, type PointHead } from "../cases.js";
import { numberClaim, ratioOf, scaled, shapeClaim, simulatedAt } from "../claims.js";
import type { Experiment, Panel, PointSpec } from "../experiment.js";

const SYSTEMS = ["powerinfer", "llm-in-a-flash"] as const;

interface Column { readonly panel: Panel; readonly key: string; readonly unit: string; readonly memory: MemoryRequest; readonly pick: (r: SimulatedRun) => number; readonly reported: readonly [string, string] }

const COLUMNS: ReadonlyArray<Column> = [
  { key: "in-memory", panel: { key: "in-memory", kind: "bars", title: "In memory", yLabel: "tokens/s", columns: 3 }, unit: "tokens/s", memory: ALL, pick: tokensPerSec, reported: ["12.4", "12.9"] },
  { key: "bandwidth", panel: { key: "bandwidth", kind: "bars", title: "Memory bandwidth", yLabel: "GB/s", columns: 3 }, unit: "GB/s", memory: ALL, pick: (r) => r.dramBandwidth, reported: ["41.1", "43.9"] },
  { key: "offload", panel: { key: "offload", kind: "bars", title: "Half of the FFN on flash", yLabel: "tokens/s", columns: 3 }, unit: "tokens/s", memory: HALF, pick: tokensPerSec, reported: ["1.4", "2.3"] },
  { key: "io", panel: { key: "io", kind: "bars", title: "I/O on the critical path", yLabel: "% of time", columns: 3, max: 100 }, unit: "%", memory: HALF, pick: (r) => percent(loadingShare(r)), reported: ["81.9", "76.7"] },
  { key: "cpu", panel: { key: "cpu", kind: "bars", title: "CPU utilisation", yLabel: "% of time", columns: 3, max: 100 }, unit: "%", memory: HALF, pick: (r) => percent(r.cpuUtilisation), reported: ["31", "41"] },
];

const roleOf = (key: string): Pick<PointHead, "role" | "note"> => {
  return key === "in-memory" ? { role: "calibration" } : {};
};

const points: ReadonlyArray<PointSpec> = COLUMNS.flatMap((c) =>
  SYSTEMS.map((system, i) =>
    fromRun(
      { id: `t2.${c.key}.${system}`, panel: c.key, series: system, x: "Bamboo-7B", unit: c.unit, reported: c.reported[i], ...roleOf(c.key) },
      decode({ device: "oneplus-12", model: "bamboo-7b", system, memory: c.memory }),
      c.pick,
    ),
  ),
);

const kept = (id: string, name: string, system: string, reported: number) =>
  numberClaim({ id, text: `${name} keeps ${(100 * reported).toFixed(0)} % of its in-memory speed with half of the FFN on flash`, reported: percent(reported), unit: " %", of: (e) => scaled(100, ratioOf(e, `t2.offload.${system}`, `t2.in-memory.${system}`)) });

export const t2: Experiment = {
  id: "t2",
  paper: "Table 2",
  title: "What flash costs systems made for PCs",
  question: "How much speed do PowerInfer and LLM in a Flash lose on a phone when half of the FFN lies on flash, and to what?",
  cases: casesOf(points),
  points,
  claims: [
    kept("t2.powerinfer-slows", "PowerInfer", "powerinfer", 1.4 / 12.4),
    kept("t2.llm-in-a-flash-slows", "LLM in a Flash", "llm-in-a-flash", 2.3 / 12.9),
    shapeClaim({
      id: "t2.io-dominates",
      text: "I/O takes more than half of the critical path in both systems",
      of: (e) => SYSTEMS.map((s) => simulatedAt(e, `t2.io.${s}`)),
      judge: (shares) => shares.every((s) => s > 50),
      found: (v) => v.map((x) => `${x.toFixed(0)} %`).join(" and "),
    }),
    shapeClaim({
      id: "t2.llm-in-a-flash-faster",
      text: "LLM in a Flash is faster than PowerInfer with half of the FFN on flash",
      of: (e) => [simulatedAt(e, "t2.offload.llm-in-a-flash"), simulatedAt(e, "t2.offload.powerinfer")],
      judge: ([a, b]) => a > b,
      found: ([a, b]) => `${a.toFixed(2)} against ${b.toFixed(2)} tokens/s`,
    }),
  ],
  chart: { panels: COLUMNS.map((c) => c.panel), names: { "Bamboo-7B": "" } },
};
