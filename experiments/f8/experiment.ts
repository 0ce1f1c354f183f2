import { ACE_2_LIMIT, HALF, casesOf, fromRun, prefill, tokensPerSec, type PointHead } from "../cases.js";
import { max, mean, min, numberClaim, over, ratioOf, shapeClaim, simulatedAt } from "../claims.js";
import type { Evidence, Experiment } from "../experiment.js";

const MODELS = ["prosparse-llama-2-13b", "qwen2-7b-sparse", "bamboo-7b", "turbosparse-mixtral-47b"] as const;
const SYSTEMS = ["powerinfer-2", "qnn", "llm-in-a-flash", "llama.cpp"] as const;
const UNITS = [{ unit: "on the NPU", series: ["powerinfer-2", "qnn"] }, { unit: "on the CPU", series: ["llm-in-a-flash", "llama.cpp"] }] as const;
type Model = (typeof MODELS)[number];
type System = (typeof SYSTEMS)[number];
type Row = readonly [string, string, string, string];

interface Group { readonly key: string; readonly device: string; readonly prompt: number; readonly title: string; readonly reported: Readonly<Record<System, Row>> }

const GROUPS: ReadonlyArray<Group> = [
  {
    key: "oneplus-12-128", device: "oneplus-12", prompt: 128, title: "OnePlus 12, 128 tokens",
    reported: { "powerinfer-2": ["108", "176", "161", "20"], qnn: ["50", "84", "75", "11"], "llm-in-a-flash": ["4", "6", "6", "3"], "llama.cpp": ["3", "6", "5", "7"] },
  },
  {
    key: "oneplus-12-512", device: "oneplus-12", prompt: 512, title: "OnePlus 12, 512 tokens",
    reported: { "powerinfer-2": ["224", "429", "405", "79"], qnn: ["118", "195", "194", "42"], "llm-in-a-flash": ["4", "7", "7", "3"], "llama.cpp": ["4", "9", "7", "4"] },
  },
  {
    key: "oneplus-ace-2-512", device: "oneplus-ace-2", prompt: 512, title: "OnePlus Ace 2, 512 tokens",
    reported: { "powerinfer-2": ["98", "167", "174", "43"], qnn: ["57", "90", "90", "22"], "llm-in-a-flash": ["3", "4", "5", "4"], "llama.cpp": ["6", "10", "9", "3"] },
  },
];

const idOf = (group: string, model: Model, system: System): string => `f8.${group}.${model}.${system}`;

const SWAP = "labels 7 and 3 of this group cannot be told apart; 3 for LLM in a Flash gives the stated mean of 22.47×";
const SPECIAL: Readonly<Record<string, Pick<PointHead, "role" | "note">>> = {
  [idOf("oneplus-12-512", "bamboo-7b", "powerinfer-2")]: { role: "calibration" },
  [idOf("oneplus-12-512", "bamboo-7b", "qnn")]: { role: "calibration" },
  [idOf("oneplus-12-512", "bamboo-7b", "llm-in-a-flash")]: { role: "calibration", note: "an input: the system's gemmEfficiency is derived from it" },
  [idOf("oneplus-ace-2-512", "bamboo-7b", "powerinfer-2")]: { role: "calibration" },
  [idOf("oneplus-12-128", "turbosparse-mixtral-47b", "llm-in-a-flash")]: { note: SWAP },
  [idOf("oneplus-12-128", "turbosparse-mixtral-47b", "llama.cpp")]: { note: SWAP },
};

const caseOf = (group: Group, model: Model, system: System) =>
  prefill({ device: group.device, model, system, memory: group.device === "oneplus-ace-2" && model === "turbosparse-mixtral-47b" ? ACE_2_LIMIT : HALF }, group.prompt);

const points = GROUPS.flatMap((group) =>
  SYSTEMS.flatMap((system) =>
    MODELS.map((model, i) =>
      fromRun({ id: idOf(group.key, model, system), panel: group.key, series: system, x: model, unit: "tokens/s", reported: group.reported[system][i], ...SPECIAL[idOf(group.key, model, system)] }, caseOf(group, model, system), tokensPerSec),
    ),
  ),
);

const gains = (e: Evidence, group: string, under: System): ReadonlyArray<number | null> => MODELS.map((model) => ratioOf(e, idOf(group, model, "powerinfer-2"), idOf(group, model, under)));
const gain = (id: string, text: string, reported: number, group: string, under: System) => numberClaim({ id, text, reported, of: (e) => over(mean, gains(e, group, under)) });

/** Prefill time over that of the same model at the other prompt length. */
const longer = (e: Evidence, model: Model): number | null => {
  const ratio = ratioOf(e, idOf("oneplus-12-128", model, "powerinfer-2"), idOf("oneplus-12-512", model, "powerinfer-2"));
  return ratio === null ? null : 4 * ratio;
};

export const f8: Experiment = {
  id: "f8",
  paper: "Figure 8",
  title: "Prefill with half of the FFN on flash",
  question: "How fast do four systems read a prompt of 128 or 512 tokens when half of the FFN (Mixtral on Ace 2: three quarters) lies on flash?",
  cases: casesOf(points),
  points,
  claims: [
    shapeClaim({
      id: "f8.wins-everywhere",
      text: "PowerInfer-2 is fastest in all twelve cells",
      of: (e) => GROUPS.flatMap((g) => MODELS.flatMap((model) => SYSTEMS.map((system) => simulatedAt(e, idOf(g.key, model, system))))),
      judge: (values) => values.every((own, i) => i % 4 !== 0 || (own > values[i + 1] && own > values[i + 2] && own > values[i + 3])),
      found: (values) => `${values.filter((own, i) => i % 4 === 0 && own > values[i + 1] && own > values[i + 2] && own > values[i + 3]).length} of 12`,
    }),
    gain("f8.oneplus-12.qnn", "OnePlus 12, 512 tokens: 1.99× over QNN on average", 1.99, "oneplus-12-512", "qnn"),
    gain("f8.oneplus-12.llm-in-a-flash", "OnePlus 12, 512 tokens: 48.97× over LLM in a Flash on average", 48.97, "oneplus-12-512", "llm-in-a-flash"),
    gain("f8.oneplus-12.llama.cpp", "OnePlus 12, 512 tokens: 44.23× over llama.cpp on average", 44.23, "oneplus-12-512", "llama.cpp"),
    gain("f8.oneplus-12-128.llm-in-a-flash", "OnePlus 12, 128 tokens: 22.47× over LLM in a Flash (the labels give it as the average)", 22.47, "oneplus-12-128", "llm-in-a-flash"),
    gain("f8.oneplus-ace-2.llm-in-a-flash", "Ace 2, 512 tokens: 29.98× over LLM in a Flash on average", 29.98, "oneplus-ace-2-512", "llm-in-a-flash"),
    gain("f8.oneplus-ace-2.llama.cpp", "Ace 2, 512 tokens: 16.67× over llama.cpp on average", 16.67, "oneplus-ace-2-512", "llama.cpp"),
    shapeClaim({
      id: "f8.npu-systems-far-ahead",
      text: "On OnePlus 12 the slower NPU system is still faster than both CPU systems for every model",
      of: (e) => GROUPS.slice(0, 2).flatMap((g) => MODELS.flatMap((model) => (["qnn", "llm-in-a-flash", "llama.cpp"] as const).map((system) => simulatedAt(e, idOf(g.key, model, system))))),
      judge: (values) => values.every((own, i) => i % 3 !== 0 || own > max(values.slice(i + 1, i + 3))),
      found: (values) => `at least ${min(values.flatMap((own, i) => (i % 3 === 0 ? [own / max(values.slice(i + 1, i + 3))] : []))).toFixed(1)}×`,
    }),
    numberClaim({ id: "f8.mixtral-io-bound", text: "Mixtral-47B is bound by flash: 512 tokens take 1.01× the time of 128", reported: (512 / 79) / (128 / 20), of: (e) => longer(e, "turbosparse-mixtral-47b") }),
    numberClaim({ id: "f8.bamboo-compute-grows", text: "Bamboo-7B is not: 512 tokens take 1.59× the time of 128", reported: (512 / 405) / (128 / 161), of: (e) => longer(e, "bamboo-7b") }),
  ],
  chart: {
    // The NPU's systems are some fifty times as fast as the CPU's: on one axis the latter would be a line on the ground.
    panels: GROUPS.flatMap((g) =>
      UNITS.map(({ unit, series }) => ({ key: g.key, series, columns: UNITS.length, kind: "bars" as const, title: `${g.title}, ${unit}${g.device === "oneplus-ace-2" ? " (Mixtral: 75 % on flash)" : ""}`, yLabel: "tokens/s" }))),
    names: { "prosparse-llama-2-13b": "Llama-\n13B", "qwen2-7b-sparse": "Qwen2-\n7B", "bamboo-7b": "Bamboo-\n7B", "turbosparse-mixtral-47b": "Mixtral-\n47B" },
  },
};
