import { HALF, casesOf, decode, fromRun, percent, tokensPerSec } from "../cases.js";
import { numberClaim, ratioOf, shapeClaim } from "../claims.js";
import type { Evidence, Experiment } from "../experiment.js";

const ROWS = [
  { model: "mistral-7b", x: "Mistral-7B (SiLU)", values: { "powerinfer-2": "5.3", "llm-in-a-flash": "2.18" } },
  { model: "bamboo-7b", x: "Bamboo-7B (dReLU)", values: { "powerinfer-2": "11.1", "llm-in-a-flash": "2.4" } },
] as const;

const points = ROWS.flatMap(({ model, x, values }) =>
  Object.entries(values).map(([system, reported]) =>
    fromRun(
      {
        id: `t6.${model}.${system}`, series: system, x, unit: "tokens/s", reported,
        ...(system === "powerinfer-2" ? { role: "calibration" as const } : {}),
        ...(model === "bamboo-7b" ? { note: "the same bar as in Figure 7, which is fitted for PowerInfer-2" } : {}),
      },
      decode({ device: "oneplus-12", model, system, memory: HALF }),
      tokensPerSec,
    ),
  ),
);

const activeShare = (e: Evidence, model: string): number => e.lab.model(model).activations.activeShare.value;

export const t6: Experiment = {
  id: "t6",
  paper: "Table 6",
  title: "A less sparse model gains less",
  question: "What is left of PowerInfer-2's lead on a SiLU model, of which half of the neurons must be computed?",
  cases: casesOf(points),
  points,
  claims: [
    numberClaim({ id: "t6.mistral", text: "Mistral-7B (SiLU): 2.4× over LLM in a Flash", reported: 2.4, of: (e) => ratioOf(e, "t6.mistral-7b.powerinfer-2", "t6.mistral-7b.llm-in-a-flash") }),
    numberClaim({ id: "t6.bamboo", text: "Bamboo-7B: 4.6× over LLM in a Flash", reported: 4.6, of: (e) => ratioOf(e, "t6.bamboo-7b.powerinfer-2", "t6.bamboo-7b.llm-in-a-flash") }),
    shapeClaim({
      id: "t6.sparser-gains-more",
      text: "The sparser model gains more: Bamboo-7B, if its active share is the smaller one",
      of: (e) => [ratioOf(e, "t6.bamboo-7b.powerinfer-2", "t6.bamboo-7b.llm-in-a-flash"), ratioOf(e, "t6.mistral-7b.powerinfer-2", "t6.mistral-7b.llm-in-a-flash"), activeShare(e, "bamboo-7b"), activeShare(e, "mistral-7b")],
      judge: ([bamboo, silu, bambooShare, siluShare]) => bamboo > silu && bambooShare < siluShare,
      found: ([bamboo, silu, bambooShare, siluShare]) => `${bamboo.toFixed(2)}× at ${percent(bambooShare).toFixed(1)} % active against ${silu.toFixed(2)}× at ${percent(siluShare).toFixed(1)} %`,
    }),
  ],
  chart: { panels: [{ key: "", kind: "bars", title: "OnePlus 12, half of the FFN on flash", yLabel: "tokens/s" }] },
};
