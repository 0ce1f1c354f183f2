import { casesOf, decode, fromRun, gigabytes, tokensPerSec, type PointHead } from "../cases.js";
import { ascending, known, numberClaim, ratioOf, shapeClaim, simulatedAt } from "../claims.js";
import type { CurvePoint, Experiment, Lab } from "../experiment.js";

const MEMORY = [7, 10, 13, 16, 19] as const;
const MODEL = "turbosparse-mixtral-47b";
const caseOf = (system: string, gb: number) => decode({ device: "oneplus-12", model: MODEL, system, memory: gigabytes(gb) });
const idOf = (system: string, gb: number): string => `f10.${system}.${gb}GB`;

/** The curve is drawn in v1, whose decoding ran on the CPU alone; v3 repeats its ends without a new curve. */
const ROWS: ReadonlyArray<readonly [string, number, string, Pick<PointHead, "role" | "note">]> = [
  ["powerinfer-2-v1", 7, "2.13", {}],
  ["powerinfer-2-v1", 10, "3.58", {}],
  ["powerinfer-2-v1", 13, "6.40", {}],
  ["powerinfer-2-v1", 16, "9.65", {}],
  ["powerinfer-2-v1", 19, "11.68", {}],
  ["powerinfer-2", 7, "2.13", { note: "v3 states v1's value again, although its engine adds the NPU" }],
  ["powerinfer-2", 19, "11.68", { note: "the headline; v3 states v1's value again, although its engine adds the NPU" }],
  ["llm-in-a-flash", 7, "1.16", {}],
  ["llm-in-a-flash", 10, "1.61", {}],
  ["llm-in-a-flash", 13, "1.96", { role: "calibration" }],
  ["llm-in-a-flash", 16, "2.53", {}],
  ["llm-in-a-flash", 19, "3.74", {}],
  ["llama.cpp", 7, "0.30", {}],
  ["llama.cpp", 19, "0.55", {}],
];

const points = ROWS.map(([system, gb, reported, more]) => fromRun({ id: idOf(system, gb), series: system, x: gb, unit: "tokens/s", reported, ...more }, caseOf(system, gb), tokensPerSec));

const CURVES = ["powerinfer-2-v1", "powerinfer-2", "llm-in-a-flash", "llama.cpp"] as const;
const curveCases = CURVES.flatMap((system) => MEMORY.map((gb) => ({ system, gb, of: caseOf(system, gb) })));

const curves = (lab: Lab): ReadonlyArray<CurvePoint> =>
  curveCases.flatMap(({ system, gb, of }) => {
    const record = lab.run(of.key);
    return record === null ? [] : [{ series: system, x: gb, value: record.tokensPerSec, unit: "tokens/s" }];
  });

const V1 = "powerinfer-2-v1";

export const f10: Experiment = {
  id: "f10",
  paper: "Figure 10",
  title: "Decoding Mixtral-47B by memory",
  question: "How does decoding speed grow as an app may use 7 to 19 GB for a model of 26 GB?",
  cases: casesOf(points, curveCases.map((c) => c.of)),
  points,
  curves,
  claims: [
    numberClaim({ id: "f10.7GB.llm-in-a-flash", text: "7 GB: 1.84× over LLM in a Flash", reported: 1.84, of: (e) => ratioOf(e, idOf(V1, 7), idOf("llm-in-a-flash", 7)) }),
    numberClaim({ id: "f10.19GB.llm-in-a-flash", text: "19 GB: 3.12× over LLM in a Flash", reported: 3.12, of: (e) => ratioOf(e, idOf(V1, 19), idOf("llm-in-a-flash", 19)) }),
    numberClaim({ id: "f10.19GB.llama.cpp", text: "19 GB: 21.2× over llama.cpp", reported: 21.2, of: (e) => ratioOf(e, idOf(V1, 19), idOf("llama.cpp", 19)) }),
    numberClaim({ id: "f10.growth", text: "PowerInfer-2 gains 5.5× from 7 to 19 GB", reported: 11.68 / 2.13, of: (e) => ratioOf(e, idOf(V1, 19), idOf(V1, 7)) }),
    shapeClaim({
      id: "f10.grows",
      text: "More memory is always faster for PowerInfer-2 and for LLM in a Flash",
      of: (e) => [V1, "llm-in-a-flash"].flatMap((system) => MEMORY.map((gb) => simulatedAt(e, idOf(system, gb)))),
      judge: (values) => ascending(values.slice(0, MEMORY.length)) && ascending(values.slice(MEMORY.length)),
    }),
    shapeClaim({
      id: "f10.saturates",
      text: "The curve bends near its end: the last 3 GB add less than the 3 GB before",
      of: (e) => [13, 16, 19].map((gb) => simulatedAt(e, idOf(V1, gb))),
      judge: ([a, b, c]) => c - b < b - a,
      found: ([a, b, c]) => `+${(b - a).toFixed(2)}, then +${(c - b).toFixed(2)} tokens/s`,
    }),
    shapeClaim({
      id: "f10.lead-peaks",
      text: "The lead over LLM in a Flash is largest at 16 GB",
      of: (e) => MEMORY.map((gb) => ratioOf(e, idOf(V1, gb), idOf("llm-in-a-flash", gb))),
      judge: (ratios) => Math.max(...ratios) === ratios[MEMORY.indexOf(16)],
      found: (ratios) => MEMORY.map((gb, i) => `${gb} GB ${ratios[i].toFixed(2)}×`).join(", "),
    }),
    shapeClaim({
      id: "f10.wins",
      text: "PowerInfer-2 is fastest at every memory size",
      of: (e) => MEMORY.flatMap((gb) => [V1, "llm-in-a-flash", "llama.cpp"].map((system) => e.curves.find((c) => c.series === system && c.x === gb)?.value ?? null)),
      judge: (values) => values.every((own, i) => i % 3 !== 0 || (own > values[i + 1] && own > values[i + 2])),
      found: (values) => (known(values) === null ? "" : `${values.filter((own, i) => i % 3 === 0 && own > values[i + 1] && own > values[i + 2]).length} of ${MEMORY.length}`),
    }),
  ],
  chart: { panels: [{ key: "", kind: "lines", title: "OnePlus 12, TurboSparse-Mixtral-47B", yLabel: "tokens/s", xLabel: "memory, GB (2³⁰ bytes)", xScale: "linear", ticks: [...MEMORY] }] },
};
