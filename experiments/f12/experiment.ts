import { residentBytes } from "../../sim/domain/plan.js";
import { ALL, HALF, casesOf, decode, fromRun, prefill, tokensPerSec, type PointHead } from "../cases.js";
import { numberClaim, ratioOf, scaled, shapeClaim, simulatedAt } from "../claims.js";
import type { Case, Experiment } from "../experiment.js";

type Bar = readonly [system: string, reported: PointHead["reported"], more?: Pick<PointHead, "role" | "note">];

const INPUT = { role: "calibration", note: "the unit's rate in the device profile comes from the same statement (770, 37 and 8 tokens/s)" } as const;
const RATIO = "the label is truncated or contradicts the text; 20 over the stated ratio";

const GROUPS: ReadonlyArray<{ readonly panel: "prefill" | "decode"; readonly x: string; readonly key: string; readonly bars: ReadonlyArray<Bar>; readonly of: (system: string) => Case }> = [
  {
    panel: "prefill", x: "in memory", key: "prefill.all", of: (system) => prefill({ device: "oneplus-12", model: "bamboo-7b", system, memory: ALL }, 512),
    bars: [["powerinfer-2", "721", INPUT], ["qnn", "772", INPUT], ["llama.cpp", "8", INPUT], ["mlc-llm", "37", INPUT]],
  },
  {
    panel: "prefill", x: "half on flash", key: "prefill.half", of: (system) => prefill({ device: "oneplus-12", model: "bamboo-7b", system, memory: HALF }, 512),
    bars: [
      ["powerinfer-2", "404.6", { role: "calibration", note: "the same measurement as Figure 8's 405, which is fitted" }],
      ["qnn", "193", { role: "calibration", note: "the same measurement as Figure 8's 194, which is fitted" }],
      ["llama.cpp", "5", { note: "assigned by the label's height; Figure 8 has 7 for the same bar" }],
    ],
  },
  {
    panel: "decode", x: "in memory", key: "decode.all", of: (system) => decode({ device: "oneplus-12", model: "bamboo-7b", system, memory: ALL }),
    bars: [
      ["powerinfer-2", "20", { role: "calibration" }],
      ["qnn", { reported: 20 / 1.86, printed: 0.5 / 1.86 }, { note: `${RATIO} 1.86 (label 10)` }],
      ["llama.cpp", { reported: 20 / 2.24, printed: 0.5 / 2.24 }, { note: `${RATIO} 2.24 (label 8 or 6; Table 8 implies 6.05)` }],
      ["mlc-llm", { reported: 20 / 2.48, printed: 0.5 / 2.48 }, { note: `${RATIO} 2.48 (label 8 or 6)` }],
    ],
  },
  {
    panel: "decode", x: "half on flash", key: "decode.half", of: (system) => decode({ device: "oneplus-12", model: "bamboo-7b", system, memory: HALF }),
    bars: [["powerinfer-2", "11", { role: "calibration", note: "the same measurement as Figure 14's last step, which is fitted" }], ["qnn", "0.66", { role: "calibration" }], ["llama.cpp", "0.3", { note: "Figure 7 has 0.4 for the same bar" }]],
  },
];

const points = GROUPS.flatMap((g) =>
  g.bars.map(([system, reported, more]) => fromRun({ id: `f12.${g.key}.${system}`, panel: g.panel, series: system, x: g.x, unit: "tokens/s", reported, ...more }, g.of(system), tokensPerSec)),
);

const groupOf = (key: string) => GROUPS.find((g) => g.key === key)!;
const MLC_OFFLOADED = [groupOf("prefill.half").of("mlc-llm"), groupOf("decode.half").of("mlc-llm")];
const [RESIDENT, OFFLOADED] = [groupOf("decode.all").of("powerinfer-2"), groupOf("decode.half").of("powerinfer-2")];

const inMemory = (id: string, name: string, system: string, reported: number) =>
  numberClaim({ id, text: `In memory: decodes ${reported}× as fast as ${name}`, reported, of: (e) => ratioOf(e, "f12.decode.all.powerinfer-2", `f12.decode.all.${system}`) });

export const f12: Experiment = {
  id: "f12",
  paper: "Figure 12",
  title: "A model that would fit, in memory and half on flash",
  question: "What does it cost Bamboo-7B to leave half of its FFN on flash, and how do dense systems compare?",
  cases: casesOf(points, MLC_OFFLOADED),
  points,
  gaps: GROUPS.filter((g) => g.x === "half on flash").map((g) => ({ panel: g.panel, series: "mlc-llm", x: g.x, reason: "cannot offload (✗ in the paper)" })),
  claims: [
    inMemory("f12.qnn", "QNN", "qnn", 1.86),
    inMemory("f12.llama.cpp", "llama.cpp", "llama.cpp", 2.24),
    inMemory("f12.mlc-llm", "MLC-LLM", "mlc-llm", 2.48),
    numberClaim({ id: "f12.speed-kept", text: "Half of the FFN on flash keeps 55 % of the in-memory decoding speed", reported: 55, unit: " %", of: (e) => scaled(100, ratioOf(e, "f12.decode.half.powerinfer-2", "f12.decode.all.powerinfer-2")) }),
    numberClaim({ id: "f12.prefill-kept", text: "Half of the FFN on flash keeps 56 % of the in-memory prefill speed", reported: 100 * (404.6 / 721), unit: " %", of: (e) => scaled(100, ratioOf(e, "f12.prefill.half.powerinfer-2", "f12.prefill.all.powerinfer-2")) }),
    numberClaim({
      id: "f12.memory-saved",
      text: "Half of the FFN on flash saves about 1.5 GB of memory",
      reported: 1.5,
      unit: " GB",
      of: ({ lab }) => {
        const [all, half] = [lab.run(RESIDENT.key), lab.run(OFFLOADED.key)];
        return all === null || half === null ? null : (residentBytes(all.plan) - residentBytes(half.plan)) / 1e9;
      },
    }),
    shapeClaim({
      id: "f12.offloaded-as-fast-as-dense",
      text: "With half of the FFN on flash PowerInfer-2 still decodes at least as fast as llama.cpp and MLC-LLM do in memory",
      of: (e) => ["half.powerinfer-2", "all.llama.cpp", "all.mlc-llm"].map((id) => simulatedAt(e, `f12.decode.${id}`)),
      judge: ([own, llama, mlc]) => own >= llama && own >= mlc,
      found: ([own, llama, mlc]) => `${own.toFixed(1)} against ${llama.toFixed(1)} and ${mlc.toFixed(1)} tokens/s`,
    }),
    shapeClaim({
      id: "f12.qnn-prefill",
      text: "In memory QNN's prefill is slightly faster than PowerInfer-2's, by less than 15 %",
      of: (e) => [ratioOf(e, "f12.prefill.all.qnn", "f12.prefill.all.powerinfer-2")],
      judge: ([ratio]) => ratio > 1 && ratio < 1.15,
      found: ([ratio]) => `${ratio.toFixed(3)}×`,
    }),
    {
      id: "f12.mlc-llm-needs-memory",
      text: "MLC-LLM cannot run with weights on flash",
      judge: ({ lab }) => {
        const ran = MLC_OFFLOADED.filter((c) => lab.run(c.key) !== null).length;
        return { holds: ran === 0, found: ran === 0 ? "no run is made" : `${ran} of 2 run` };
      },
    },
  ],
  chart: {
    panels: [
      { key: "prefill", kind: "bars", title: "Prefill, 512 tokens, OnePlus 12, Bamboo-7B", yLabel: "tokens/s" },
      { key: "decode", kind: "bars", title: "Decoding, OnePlus 12, Bamboo-7B", yLabel: "tokens/s" },
    ],
  },
};
