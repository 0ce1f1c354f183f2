import { HALF, casesOf, decode, fromRun, tokensPerSec } from "../cases.js";
import { numberClaim, ratioOf } from "../claims.js";
import type { Experiment } from "../experiment.js";

const points = [
  fromRun(
    { id: "ts-t9.powerinfer-2", series: "powerinfer-2", x: "Mixtral-47B", unit: "tokens/s", reported: "11.1", note: "memory mode not stated: half of the FFN on flash, as in Figure 7" },
    decode({ device: "oneplus-12", model: "turbosparse-mixtral-47b", system: "powerinfer-2", memory: HALF }),
    tokensPerSec,
  ),
  fromRun(
    { id: "ts-t9.llama.cpp", series: "llama.cpp", x: "Mixtral-47B", unit: "tokens/s", reported: "0.5", note: "llama.cpp runs the original, dense Mixtral" },
    decode({ device: "oneplus-12", model: "mixtral-8x7b", system: "llama.cpp", memory: HALF }),
    tokensPerSec,
  ),
];

export const tsT9: Experiment = {
  id: "ts-t9",
  paper: "Turbo Sparse, Table 9",
  title: "A sparse Mixtral against the original one",
  question: "How much faster is TurboSparse-Mixtral-47B on PowerInfer-2 than the original Mixtral on llama.cpp?",
  cases: casesOf(points),
  points,
  claims: [numberClaim({ id: "ts-t9.ratio", text: "22.2× over llama.cpp", reported: 22.2, of: (e) => ratioOf(e, "ts-t9.powerinfer-2", "ts-t9.llama.cpp") })],
  chart: { panels: [{ key: "", kind: "bars", title: "OnePlus 12, INT4", yLabel: "tokens/s" }] },
};
