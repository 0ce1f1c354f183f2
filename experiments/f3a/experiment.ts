import { matrixTimeNs, type MatrixUnit } from "../../sim/hardware/kernels.js";
import { shapeClaim } from "../claims.js";
import type { CurvePoint, Evidence, Experiment, Lab } from "../experiment.js";

const UNITS: ReadonlyArray<readonly [MatrixUnit, string]> = [
  ["cpu-4-mid", "CPU, 4 mid"],
  ["cpu-6", "CPU, 5 mid + 1 big"],
  ["cpu-8", "CPU, 8 cores"],
  ["gpu", "GPU"],
  ["npu", "NPU"],
];
/** The paper's axis: 0 means one vector and a sparse matrix. */
const BATCHES = [0, 1, 4, 16, 64, 256] as const;
const xOf = (batch: number): string => (batch === 0 ? "sparse" : String(batch));

const curves = (lab: Lab): ReadonlyArray<CurvePoint> =>
  UNITS.flatMap(([unit, series]) =>
    BATCHES.map((batch) => ({ series, x: xOf(batch), value: matrixTimeNs(lab.device("oneplus-12"), unit, 14336, 4096, Math.max(1, batch), batch === 0) / 1e3, unit: "us" })).filter((c) => Number.isFinite(c.value)),
  );

const at = ({ curves: all }: Evidence, series: string, batch: number): number | null => all.find((c) => c.series === series && c.x === xOf(batch))?.value ?? null;
const others = (name: string): ReadonlyArray<string> => UNITS.map(([, series]) => series).filter((series) => series !== name);

/** `winner` takes less time than all others at the batch size. */
const wins = (id: string, text: string, winner: string, batch: number) =>
  shapeClaim({
    id, text,
    of: (e) => [winner, ...others(winner)].map((series) => at(e, series, batch)),
    judge: ([own, ...rest]) => rest.every((time) => own < time),
    found: ([own, ...rest]) => `${own.toFixed(0)} µs, next ${Math.min(...rest).toFixed(0)} µs`,
  });

export const f3a: Experiment = {
  id: "f3a",
  paper: "Figure 3a",
  title: "Which unit multiplies a matrix fastest",
  question: "How long does a 14336 × 4096 matrix take on CPU, GPU and NPU, for sparse input and for batches of vectors?",
  cases: [],
  points: [],
  curves,
  claims: [
    wins("f3a.cpu-wins-sparse", "Six CPU cores (5 mid + 1 big) are fastest on sparse input", "CPU, 5 mid + 1 big", 0),
    wins("f3a.npu-wins-64", "The NPU is fastest for a batch of 64", "NPU", 64),
    wins("f3a.npu-wins-256", "The NPU is fastest for a batch of 256", "NPU", 256),
    shapeClaim({
      id: "f3a.npu-by-far",
      text: "For a batch of 256 the NPU wins by far: at least 5× over every other unit",
      of: (e) => ["NPU", ...others("NPU")].map((series) => at(e, series, 256)),
      judge: ([npu, ...rest]) => Math.min(...rest) >= 5 * npu,
      found: ([npu, ...rest]) => `${(Math.min(...rest) / npu).toFixed(1)}× over the next`,
    }),
    shapeClaim({
      id: "f3a.gpu-never-best",
      text: "The GPU is never the fastest",
      of: (e) => BATCHES.flatMap((batch) => UNITS.map(([, series]) => at(e, series, batch))),
      judge: (values) => BATCHES.every((_, i) => values[i * UNITS.length + 3] > Math.min(...values.slice(i * UNITS.length, (i + 1) * UNITS.length))),
      found: (values) => `slower than the fastest by ${Math.min(...BATCHES.map((_, i) => values[i * UNITS.length + 3] / Math.min(...values.slice(i * UNITS.length, (i + 1) * UNITS.length)))).toFixed(2)}× at least`,
    }),
    shapeClaim({
      id: "f3a.little-cores-hold-back",
      text: "On sparse input all eight cores are no faster than the best six",
      of: (e) => [at(e, "CPU, 8 cores", 0), at(e, "CPU, 5 mid + 1 big", 0)],
      judge: ([eight, six]) => eight >= six,
      found: ([eight, six]) => `${eight.toFixed(0)} µs against ${six.toFixed(0)} µs`,
    }),
  ],
  chart: { panels: [{ key: "", kind: "lines", title: "OnePlus 12, 14336 × 4096 INT4 matrix", yLabel: "time, µs (log)", log: true, xLabel: "batch of vectors (sparse: one vector, active rows only)", xScale: "category" }] },
};
