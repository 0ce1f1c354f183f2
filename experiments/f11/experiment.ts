import { casesOf, decode, fromRun, gigabytes, tokensPerSec } from "../cases.js";
import { max, mean, min, numberClaim, over, ratioOf, shapeClaim, simulatedAt } from "../claims.js";
import type { Experiment } from "../experiment.js";

const TASKS = ["role-play", "dialog", "math", "coding"] as const;
const ROWS = [
  { system: "powerinfer-2", reported: ["11.8", "11.4", "11.5", "11.7"] },
  { system: "llm-in-a-flash", reported: ["3.6", "3.5", "3.6", "3.9"] },
  { system: "llama.cpp", reported: ["0.6", "0.5", "0.5", "0.5"] },
] as const;

const NOTE = "one run stands for all tasks: the simulator has one activity statistic";

const points = ROWS.flatMap(({ system, reported }) => {
  const run = decode({ device: "oneplus-12", model: "turbosparse-mixtral-47b", system, memory: gigabytes(19) });
  return TASKS.map((task, i) => fromRun({ id: `f11.${task}.${system}`, series: system, x: task, unit: "tokens/s", reported: reported[i], note: NOTE }, run, tokensPerSec));
});

export const f11: Experiment = {
  id: "f11",
  paper: "Figure 11",
  title: "Decoding Mixtral-47B by task",
  question: "Does the speed hold over role-play, dialogue, mathematics and code, with all memory in use?",
  cases: casesOf(points),
  points,
  claims: [
    shapeClaim({
      id: "f11.wins",
      text: "PowerInfer-2 is at least 3× as fast as LLM in a Flash and at least 18× as fast as llama.cpp on every task (the labels' own smallest ratios)",
      of: (e) => TASKS.flatMap((task) => [ratioOf(e, `f11.${task}.powerinfer-2`, `f11.${task}.llm-in-a-flash`), ratioOf(e, `f11.${task}.powerinfer-2`, `f11.${task}.llama.cpp`)]),
      judge: (ratios) => min(ratios.filter((_, i) => i % 2 === 0)) >= 3 && min(ratios.filter((_, i) => i % 2 === 1)) >= 18,
      found: (ratios) => `${min(ratios.filter((_, i) => i % 2 === 0)).toFixed(2)}× and ${min(ratios.filter((_, i) => i % 2 === 1)).toFixed(1)}×`,
    }),
    numberClaim({ id: "f11.mean", text: "11.6 tokens/s on average over the tasks", reported: 11.6, unit: " tokens/s", of: (e) => over(mean, TASKS.map((task) => simulatedAt(e, `f11.${task}.powerinfer-2`))) }),
    shapeClaim({
      id: "f11.steady",
      text: "Reported speeds differ by less than 5 % between tasks, so that one activity statistic can stand for all",
      of: (e) => e.points.filter((p) => p.series === "powerinfer-2").map((p) => p.reported),
      judge: (values) => max(values) / min(values) < 1.05,
      found: (values) => `${(100 * (max(values) / min(values) - 1)).toFixed(1)} % (a property of the paper's data)`,
    }),
  ],
  chart: { panels: [{ key: "", kind: "bars", title: "OnePlus 12, TurboSparse-Mixtral-47B, 19 GB", yLabel: "tokens/s" }] },
};
