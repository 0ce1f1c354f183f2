import { randomReadBandwidth, sequentialReadBandwidth } from "../../sim/hardware/flash.js";
import { casesOf, fromProfile, printed } from "../cases.js";
import { curveAt, min, numberClaim, over, shapeClaim } from "../claims.js";
import type { CurvePoint, Experiment, Lab } from "../experiment.js";

const KIB = 1024;
const RANGES = [128, 256, 512] as const;
const rangeName = (megabytes: number): string => `random within ${megabytes} MB`;

const random = (lab: Lab, kib: number, megabytes: number, submitters = 1): number =>
  randomReadBandwidth(lab.device("oneplus-12").flash, { blockBytes: kib * KIB, rangeBytes: megabytes * 1e6, coreRatio: 1, submitters });
const sequential = (lab: Lab, kib: number): number => sequentialReadBandwidth(lab.device("oneplus-12").flash, kib * KIB);

const INPUT = { role: "calibration", note: "an input of the device profile; stated in the text beside the figure" } as const;

const points = [
  fromProfile({ id: "f3b.random-4k", panel: "wide", series: rangeName(128), x: 4, unit: "GB/s", reported: printed("1.0"), ...INPUT }, (lab) => random(lab, 4, 128)),
  fromProfile({ id: "f3b.random-512k", panel: "wide", series: rangeName(128), x: 512, unit: "GB/s", reported: printed("3.5"), ...INPUT }, (lab) => random(lab, 512, 128)),
  fromProfile({ id: "f3b.sequential-4k", panel: "wide", series: "sequential", x: 4, unit: "GB/s", reported: printed("0.450"), ...INPUT }, (lab) => sequential(lab, 4)),
  fromProfile({ id: "f3b.sequential-512k", panel: "wide", series: "sequential", x: 512, unit: "GB/s", reported: { reported: 4, printed: 0.05 }, ...INPUT }, (lab) => sequential(lab, 512)),
];

const curves = (lab: Lab): ReadonlyArray<CurvePoint> => [
  ...RANGES.flatMap((range) => [4, 8, 12, 16, 20, 24, 28, 32].map((kib) => ({ panel: "paper", series: rangeName(range), x: kib, value: random(lab, kib, range), unit: "GB/s" }))),
  ...[4, 8, 16, 32, 64, 128, 256, 512].flatMap((kib) => [
    { panel: "wide", series: rangeName(128), x: kib, value: random(lab, kib, 128), unit: "GB/s" },
    { panel: "wide", series: "sequential", x: kib, value: sequential(lab, kib), unit: "GB/s" },
  ]),
];

export const f3b: Experiment = {
  id: "f3b",
  paper: "Figure 3b",
  title: "Flash throughput by block size and range",
  question: "How fast is UFS 4.0 at random reads of 4 to 32 KB within 128, 256 and 512 MB?",
  cases: casesOf(points),
  points,
  curves,
  claims: [
    shapeClaim({
      id: "f3b.wide-range-slower",
      text: "4 KB reads within 512 MB stay below 0.85 GB/s",
      of: (e) => [curveAt(e, rangeName(512), 4, "paper")],
      judge: ([rate]) => rate < 0.85,
      found: ([rate]) => `${rate.toFixed(3)} GB/s`,
    }),
    shapeClaim({
      id: "f3b.two-4k-beat-8k",
      text: "Two 4 KB random reads are faster than one of 8 KB (within 128 MB)",
      of: (e) => [curveAt(e, rangeName(128), 4, "paper"), curveAt(e, rangeName(128), 8, "paper")],
      judge: ([four, eight]) => four > eight,
      found: ([four, eight]) => `${four.toFixed(3)} against ${eight.toFixed(3)} GB/s`,
    }),
    shapeClaim({
      id: "f3b.range-effect-shrinks",
      text: "The range matters less for larger blocks: 128 over 512 MB is nearer to 1 at 32 KB than at 4 KB",
      of: (e) => [4, 32].flatMap((kib) => [curveAt(e, rangeName(128), kib, "paper"), curveAt(e, rangeName(512), kib, "paper")]),
      judge: ([a, b, c, d]) => c / d < a / b && c / d >= 1,
      found: ([a, b, c, d]) => `${(a / b).toFixed(2)} at 4 KB, ${(c / d).toFixed(2)} at 32 KB`,
    }),
    shapeClaim({
      id: "f3b.axis",
      text: "Every curve of the figure stays below the top of its axis, 1.75 GB/s, with 5 % for what lies on it",
      of: (e) => e.curves.filter((c) => c.panel === "paper").map((c) => c.value),
      judge: (values) => Math.max(...values) <= 1.75 * 1.05,
      found: (values) => `highest ${Math.max(...values).toFixed(2)} GB/s`,
    }),
    numberClaim({
      id: "f3b.many-cores",
      text: "Several cores issuing reads lose up to 40 %: 0.6× of one core's rate is left",
      reported: 0.6,
      of: ({ lab }) => over(min, [1, 2, 3, 4, 5, 6, 7, 8].map((submitters) => random(lab, 4, 128, submitters) / random(lab, 4, 128))),
    }),
  ],
  chart: {
    panels: [
      { key: "paper", kind: "lines", title: "As in the figure (values unread)", yLabel: "GB/s", xLabel: "block, KB", xScale: "linear", ticks: [4, 8, 16, 24, 32], columns: 2 },
      { key: "wide", kind: "lines", title: "To 512 KB, with the stated values", yLabel: "GB/s", xLabel: "block, KB (log)", xScale: "log", ticks: [4, 16, 64, 256, 512], columns: 2 },
    ],
  },
};
