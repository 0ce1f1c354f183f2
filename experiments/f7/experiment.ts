import { ACE_2_LIMIT, HALF, casesOf, decode, fromRun, tokensPerSec, type PointHead } from "../cases.js";
import { max, mean, numberClaim, over, ratioOf, shapeClaim, simulatedAt } from "../claims.js";
import type { Evidence, Experiment } from "../experiment.js";

const DEVICES = ["oneplus-12", "oneplus-ace-2"] as const;
const MODELS = ["prosparse-llama-2-13b", "qwen2-7b-sparse", "bamboo-7b", "turbosparse-mixtral-47b"] as const;
const SYSTEMS = ["powerinfer-2", "llm-in-a-flash", "llama.cpp"] as const;
type Device = (typeof DEVICES)[number];
type Model = (typeof MODELS)[number];
type System = (typeof SYSTEMS)[number];

const REPORTED: Readonly<Record<Device, Readonly<Record<System, readonly [string, string, string, string]>>>> = {
  "oneplus-12": { "powerinfer-2": ["5.4", "9.5", "11.1", "10.0"], "llm-in-a-flash": ["1.7", "2.8", "2.4", "2.4"], "llama.cpp": ["0.2", "0.4", "0.4", "0.5"] },
  "oneplus-ace-2": { "powerinfer-2": ["4.9", "4.7", "7.0", "3.1"], "llm-in-a-flash": ["1.3", "2.1", "1.9", "1.5"], "llama.cpp": ["0.2", "0.4", "0.5", "0.5"] },
};

const idOf = (device: Device, model: Model, system: System): string => `f7.${device}.${model}.${system}`;

const FITTED: Readonly<Record<string, Pick<PointHead, "role" | "note">>> = {
  [idOf("oneplus-12", "prosparse-llama-2-13b", "powerinfer-2")]: { role: "calibration" },
  [idOf("oneplus-12", "prosparse-llama-2-13b", "llm-in-a-flash")]: { role: "calibration" },
  [idOf("oneplus-12", "qwen2-7b-sparse", "powerinfer-2")]: { role: "calibration" },
  [idOf("oneplus-12", "qwen2-7b-sparse", "llama.cpp")]: { role: "calibration" },
  [idOf("oneplus-12", "bamboo-7b", "llama.cpp")]: { role: "calibration" },
  [idOf("oneplus-ace-2", "prosparse-llama-2-13b", "llm-in-a-flash")]: { role: "calibration" },
  [idOf("oneplus-ace-2", "bamboo-7b", "powerinfer-2")]: { role: "calibration" },
  [idOf("oneplus-ace-2", "bamboo-7b", "llm-in-a-flash")]: { role: "calibration" },
  [idOf("oneplus-12", "turbosparse-mixtral-47b", "powerinfer-2")]: { role: "calibration", note: "the same measurement as Table 5's mean, which is fitted" },
  [idOf("oneplus-12", "bamboo-7b", "powerinfer-2")]: { role: "calibration", note: "the same measurement as Figure 14's last step, which is fitted; the text has 11.07" },
};

const points = DEVICES.flatMap((device) =>
  SYSTEMS.flatMap((system) =>
    MODELS.map((model, i) =>
      fromRun(
        { id: idOf(device, model, system), panel: device, series: system, x: model, unit: "tokens/s", reported: REPORTED[device][system][i], ...FITTED[idOf(device, model, system)] },
        decode({ device, model, system, memory: device === "oneplus-ace-2" && model === "turbosparse-mixtral-47b" ? ACE_2_LIMIT : HALF }),
        tokensPerSec,
      ),
    ),
  ),
);

const gains = (e: Evidence, device: Device, ours: System, theirs: System): ReadonlyArray<number | null> => MODELS.map((model) => ratioOf(e, idOf(device, model, ours), idOf(device, model, theirs)));

const gain = (id: string, text: string, reported: number, device: Device, under: System, fold: (values: ReadonlyArray<number>) => number) =>
  numberClaim({ id, text, reported, of: (e) => over(fold, gains(e, device, "powerinfer-2", under)) });

const largestOnBamboo = (id: string, under: System, name: string) =>
  shapeClaim({
    id,
    text: `OnePlus 12: the largest gain over ${name} is on Bamboo-7B`,
    of: (e) => gains(e, "oneplus-12", "powerinfer-2", under),
    judge: (values) => max(values) === values[MODELS.indexOf("bamboo-7b")],
    found: (values) => MODELS.map((model, i) => `${SHORT[model]} ${values[i].toFixed(1)}×`).join(", "),
  });

const SHORT: Readonly<Record<Model, string>> = { "prosparse-llama-2-13b": "Llama-13B", "qwen2-7b-sparse": "Qwen2-7B", "bamboo-7b": "Bamboo-7B", "turbosparse-mixtral-47b": "Mixtral-47B" };

export const f7: Experiment = {
  id: "f7",
  paper: "Figure 7",
  title: "Decoding with half of the FFN on flash",
  question: "How fast do three systems decode four models on two phones when half of the FFN (Mixtral on Ace 2: three quarters) lies on flash?",
  cases: casesOf(points),
  points,
  claims: [
    shapeClaim({
      id: "f7.wins-everywhere",
      text: "PowerInfer-2 is fastest in all eight cells",
      of: (e) => DEVICES.flatMap((device) => MODELS.flatMap((model) => SYSTEMS.map((system) => simulatedAt(e, idOf(device, model, system))))),
      judge: (values) => DEVICES.flatMap((_, d) => MODELS.map((__, m) => values.slice((d * MODELS.length + m) * 3, (d * MODELS.length + m) * 3 + 3))).every(([own, ...rest]) => rest.every((speed) => own > speed)),
      found: (values) => `${values.filter((own, i) => i % 3 === 0 && own > values[i + 1] && own > values[i + 2]).length} of 8`,
    }),
    gain("f7.oneplus-12.llama.cpp.max", "OnePlus 12: up to 27.8× over llama.cpp", 27.8, "oneplus-12", "llama.cpp", max),
    gain("f7.oneplus-12.llama.cpp.mean", "OnePlus 12: 24.6× over llama.cpp on average", 24.6, "oneplus-12", "llama.cpp", mean),
    gain("f7.oneplus-12.llm-in-a-flash.max", "OnePlus 12: up to 4.63× over LLM in a Flash", 4.63, "oneplus-12", "llm-in-a-flash", max),
    gain("f7.oneplus-12.llm-in-a-flash.mean", "OnePlus 12: 3.84× over LLM in a Flash on average", 3.84, "oneplus-12", "llm-in-a-flash", mean),
    gain("f7.oneplus-ace-2.llama.cpp.mean", "Ace 2: 14.1× over llama.cpp on average", 14.1, "oneplus-ace-2", "llama.cpp", mean),
    gain("f7.oneplus-ace-2.llm-in-a-flash.mean", "Ace 2: 2.93× over LLM in a Flash on average", 2.93, "oneplus-ace-2", "llm-in-a-flash", mean),
    numberClaim({ id: "f7.neuron-cache", text: "LLM in a Flash's neuron cache makes it 5.35× as fast as llama.cpp (mean of all eight cells)", reported: 5.35, of: (e) => over(mean, DEVICES.flatMap((device) => gains(e, device, "llm-in-a-flash", "llama.cpp"))) }),
    largestOnBamboo("f7.largest-gain.llm-in-a-flash", "llm-in-a-flash", "LLM in a Flash"),
    largestOnBamboo("f7.largest-gain.llama.cpp", "llama.cpp", "llama.cpp"),
    shapeClaim({
      id: "f7.mixtral-as-fast-as-7b",
      text: "OnePlus 12: PowerInfer-2 decodes the 47B mixture of experts faster than the dense 13B model",
      of: (e) => [simulatedAt(e, idOf("oneplus-12", "turbosparse-mixtral-47b", "powerinfer-2")), simulatedAt(e, idOf("oneplus-12", "prosparse-llama-2-13b", "powerinfer-2"))],
      judge: ([mixtral, llama]) => mixtral > llama,
      found: ([mixtral, llama]) => `${mixtral.toFixed(2)} against ${llama.toFixed(2)} tokens/s`,
    }),
  ],
  chart: {
    panels: [
      { key: "oneplus-12", kind: "bars", title: "OnePlus 12, 50 % of the FFN on flash", yLabel: "tokens/s" },
      { key: "oneplus-ace-2", kind: "bars", title: "OnePlus Ace 2, 50 % of the FFN on flash (Mixtral 75 %)", yLabel: "tokens/s" },
    ],
    names: SHORT,
  },
};
