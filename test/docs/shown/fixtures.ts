/** The files that texts speak of, small: made once, by the program itself where it can. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Commands that make some of them, in a folder that has the others already. */
export const MADE: ReadonlyArray<string> = [
  "neuronlab synth --out model.gguf",
  "neuronlab synth --out silu.gguf --arch llama --activation silu",
  "neuronlab pack model.gguf --out model.flash",
  "neuronlab train-predictor --model model.gguf --out model.predictor.gguf",
  "neuronlab record --model model.gguf --prompt 'Once upon a time' --out once.trace --spec model.json",
];

/** Rows as a phone's llama-bench would print them, of a model with so many parameters. */
const reportOf = (root: string, parameters: number): string =>
  readFileSync(join(root, "test/cli/reports/llama-bench-0.5.0.jsonl"), "utf8").trim().split("\n").map((line) => JSON.stringify({ ...(JSON.parse(line) as Readonly<Record<string, unknown>>), model_n_params: parameters })).join("\n");

const LLAMA_2_7B = 6_738_415_616;
const QWEN2_7B = 7_615_616_512;

/** Files that need no run. */
export const placeFixtures = (root: string, folder: string): void => {
  mkdirSync(join(folder, "my-results"), { recursive: true });
  for (const name of ["novel.txt", "book.txt"]) cpSync(join(root, "LICENSE"), join(folder, name));
  writeFileSync(join(folder, "text.txt"), readFileSync(join(root, "LICENSE"), "utf8").slice(0, 800));
  writeFileSync(join(folder, "report.json"), `${reportOf(root, LLAMA_2_7B)}\n`);
  for (const name of ["a.jsonl", "b.jsonl"]) writeFileSync(join(folder, name), `${reportOf(root, QWEN2_7B)}\n`);
  for (const name of ["laptop.json", "my-phone.json"]) cpSync(join(root, "results/host/profile.json"), join(folder, name));
  // What the phone in the browser hands out where flags do not say it all.
  writeFileSync(join(folder, "phone.json"), JSON.stringify({ schema: "neuronlab/sweep@1", id: "phone", title: "one point", base: { device: "oneplus-12", model: "bamboo-7b", offload: "50%", tokens: 8 }, axes: [{ over: "seed", values: [1] }] }));
};

/** What else the made files are called. */
export const ALSO: ReadonlyArray<readonly [made: string, name: string]> = [["model.gguf", "m.gguf"], ["model.flash", "m.flash"], ["once.trace", "text.trace"]];
