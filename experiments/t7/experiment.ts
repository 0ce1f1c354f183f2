import type { Experiment, ReportedOnly } from "../experiment.js";

const TASKS = ["average", "ARC-C", "ARC-E", "MMLU", "GSM8K"] as const;
const ROWS: ReadonlyArray<readonly [string, string, ReadonlyArray<number>]> = [
  ["qwen2", "powerinfer-2", [78.38, 81.36, 88.18, 68.73, 75.24]],
  ["qwen2", "qnn", [56.93, 65.76, 80.25, 59.45, 22.26]],
  ["qwen2", "llama.cpp", [79.25, 82.37, 87.46, 69.72, 77.43]],
  ["bamboo", "powerinfer-2", [68.35, 71.86, 82.01, 61.48, 58.05]],
  ["bamboo", "qnn", [63.26, 69.15, 78.31, 57.0, 48.59]],
  ["bamboo", "llama.cpp", [70.12, 73.9, 84.83, 61.24, 60.5]],
];

const reportedOnly: ReadonlyArray<ReportedOnly> = ROWS.flatMap(([panel, series, values]) => values.map((reported, i) => ({ panel, series, x: TASKS[i], unit: "%", reported })));

export const t7: Experiment = {
  id: "t7",
  paper: "Table 7",
  title: "Accuracy, as reported",
  question: "What does quantisation cost in accuracy? (A timing simulator cannot say: shown as reported.)",
  cases: [],
  points: [],
  reportedOnly,
  claims: [],
  chart: {
    panels: [
      { key: "qwen2", kind: "bars", title: "Qwen2-7B (reported only)", yLabel: "accuracy, %", max: 100 },
      { key: "bamboo", kind: "bars", title: "Bamboo-7B (reported only)", yLabel: "accuracy, %", max: 100 },
    ],
  },
};
