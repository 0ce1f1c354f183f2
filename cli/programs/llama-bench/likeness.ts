/**
 * Whether a report's names look like those of the model and the device that it is said to be of. The number of parameters does not tell models of one
 * size apart, and a report from a desk computer has the same fields as one from a phone. Names are free text: what is found here is said, and refuses nothing. Pure.
 */
import type { DeviceProfile } from "../../../sim/domain/device.js";

const SIZE = /^(?:\d+x)?\d+(?:\.\d+)?[bm]$|^a\d+(?:\.\d+)?b$/;
const WEIGHTS = /^i?q\d|^[bf]?f\d+$|^bf16$|^mxfp\d|^gguf$/;

/** "/models/Qwen2.5-7B-Instruct-Q4_0.gguf" to qwen, 2.5, instruct: without folder, size and format of weights; a version is a word of its own. */
const wordsOf = (name: string): ReadonlyArray<string> =>
  (name.split(/[/\\]/).at(-1) ?? "").toLowerCase().replace(/\.gguf$/, "").replace(/([^0-9])\.|\.([^0-9])/g, "$1 $2").split(/[^a-z0-9.]+/)
    .filter((word) => word !== "" && !SIZE.test(word) && !WEIGHTS.test(word))
    .flatMap((word) => word.match(/[a-z]+|\d+(?:\.\d+)*/g) ?? []);

export interface NamedModel { readonly name: string; readonly title: string }

/** What a model is called, and what else it is called: "Bamboo-7B / TurboSparse-Mistral-7B". */
const callings = ({ name, title }: NamedModel): ReadonlyArray<ReadonlyArray<string>> => [name, ...title.replace(/\(.*?\)/g, "").split(" / ")].map(wordsOf).filter((words) => words.length > 0);

/** Of how many words the longest calling is that a file's name has all words of; 0 where there is none. */
const wordsMet = (filename: string, model: NamedModel): number => {
  const has = new Set(wordsOf(filename));
  return Math.max(0, ...callings(model).filter((words) => words.every((word) => has.has(word))).map((words) => words.length));
};

/** llama.cpp calls the architecture, and these are of llama's. */
const OF_LLAMA: ReadonlySet<string> = new Set(["llama", "mistral", "mixtral", "bamboo", "prosparse", "turbosparse"]);

const hasType = (type: string, model: NamedModel): boolean => {
  const architecture = wordsOf(type)[0] ?? "";
  const words = callings(model).flat();
  return words.includes(architecture) || (architecture === "llama" && words.some((word) => OF_LLAMA.has(word)));
};

/** Why a report does not look like one of this model; null where it does. `known`: names of other models. */
export const unlikeModel = ({ filename, type }: { readonly filename: string; readonly type: string }, model: NamedModel, known: ReadonlyArray<string>): string | null => {
  const met = wordsMet(filename, model);
  const hasSize = (name: string): boolean => name.split("-").some((word) => SIZE.test(word) && filename.toLowerCase().includes(word));
  const nearer = known.map((name) => ({ name, met: wordsMet(filename, { name, title: name }) })).filter((other) => other.name !== model.name && other.met > met).sort((a, b) => b.met - a.met || Number(hasSize(b.name)) - Number(hasSize(a.name)))[0];
  if (nearer !== undefined) return `its file's name looks like ${nearer.name}`;
  if (met === 0) return `its file's name does not look like ${model.name}`;
  return hasType(type, model) ? null : `its type does not look like ${model.name}`;
};

/** Words that any processor's name may have. */
const ANY = /\b(?:aarch64|armv?\d*|arm64|x86|processor|rev|cpu|core|cores|r|tm|with|and|\d+)\b/g;

/** Whether the name of a report's processor looks like this device's; null where it has none that says anything. */
export const likeDevice = (cpu: string, { soc, cpu: { clusters } }: DeviceProfile): boolean | null => {
  const said = cpu.toLowerCase();
  if (said.replace(ANY, "").replace(/[^a-z]/g, "") === "") return null;
  const words = new Set(said.split(/[^a-z0-9]+/));
  const own = [soc, ...clusters.map(({ core }) => core)].flatMap((name) => name.toLowerCase().split(/[^a-z0-9]+/));
  // A code such as SM8650 or A720, or the name of a core such as Oryon; Snapdragon and Cortex are many.
  const codes = own.filter((word) => /[a-z]\d/.test(word) || word === "oryon");
  const brand = soc.toLowerCase().replace(/\s*\(.*?\)|\s+for .*/g, "");
  return codes.some((code) => words.has(code)) || ` ${said.replace(/[^a-z0-9+]+/g, " ")} `.includes(` ${brand.replace(/[^a-z0-9+]+/g, " ")} `);
};
