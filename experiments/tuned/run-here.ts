/** How a stored plan is run, for people who have neither the phone nor the model: what to type, and how much room its files take. Pure. */
import { sizesOf, type ModelSpec } from "../../sim/domain/model.js";
import { PAGE_BYTES, pagesFor } from "../../sim/hardware/flash.js";

/** Bits of a weight with its scale: what synth writes unless told, and what pack makes of down, whose rows are put the other way round. */
const Q4_0 = 4.5;
const Q8_0 = 8.5;

/** Bytes of a model's GGUF file as `synth --model` writes it, and of that packed with a neuron a group: weights alone, without tables and checksums. */
export const filesOf = (model: ModelSpec): { readonly gguf: number; readonly packed: number } => {
  const { neurons } = sizesOf(model);
  const bytesOf = (weights: number, bits: number): number => (weights * bits) / 8;
  const dense = bytesOf((sizesOf(model).nonFfnBytes * 8) / (model.quantisation.weightBits.value + model.quantisation.scaleBits.value), Q4_0);
  const [row, downRow] = [bytesOf(model.hidden, Q4_0), bytesOf(model.hidden, Q8_0)];
  return { gguf: dense + 3 * neurons * row, packed: dense + neurons * PAGE_BYTES * (pagesFor(row) + pagesFor(row + downRow)) };
};

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

export const runHere = (plan: string, models: ReadonlyArray<ModelSpec>, of: ModelSpec): string => [
  `In the simulator: \`neuronlab simulate --plan results/tuned/${plan}.json\` (or any other).`,
  `On this machine a plan runs on a packed file of its model's shape, and on no other. Where you have none, make one: weights are random, neurons fire as often as the model's do, and the text is nonsense.`,
  ["```sh", `neuronlab synth --model ${of.name} --out ${of.name}.gguf --verify-tokens 0`, `neuronlab pack ${of.name}.gguf --out ${of.name}.flash`, `neuronlab generate --model ${of.name}.flash --prompt Once --tokens 16 --ignore-end --plan results/tuned/${plan}.json`, "```"].join("\n"),
  ["| model | GGUF file | packed |", "|---|---:|---:|", ...models.map((model) => `| ${model.name} | ${gigabytes(filesOf(model).gguf)} | ${gigabytes(filesOf(model).packed)} |`)].join("\n"),
  "Computed for four bits a weight; packed is larger, because rows of down are kept in eight bits and every neuron begins a page. `generate` lists what of the plan this machine cannot do: there is no NPU, so the CPU computes all of it; cores are as many as there are; without a predictor the true gates decide. `npm run plans` does it for the plans of one phone and keeps what came of it in `results/host/plans`.",
].join("\n\n");
