/** Which texts are read, and what is to be done about each command that they show. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "../../../cli/command.js";
import type { Apart } from "./apart.js";
import { shownIn, type Shown } from "./find.js";
import { isForm, unknownWords } from "./words.js";

export interface Run { readonly shown: Shown; readonly line: string; readonly note: string }
export interface Plan {
  readonly path: string;
  readonly runs: ReadonlyArray<Run>;
  /** Forms of commands, whose words were looked at; commands told apart with nothing to run. */
  readonly forms: number;
  readonly apart: number;
  /** Files that a reader of this text has, of those in a folder. */
  readonly fixtures: (folder: string) => ReadonlyArray<string>;
}
export interface Mistake { readonly where: string; readonly what: string }

const below = (root: string, folder: string, name: RegExp): ReadonlyArray<string> =>
  readdirSync(join(root, folder), { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile() && name.test(entry.name) && !entry.parentPath.includes("node_modules")).map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1)).sort();

/** README first, then what it leads to. */
export const textsIn = (root: string): ReadonlyArray<string> => [
  "README.md",
  "CONTRIBUTING.md",
  ...below(root, "docs", /\.md$/),
  ...below(root, "results", /^README\.md$/),
  ...below(root, "experiments", /^README\.md$/),
  ...below(root, "models", /^README\.md$/),
  "devices/README.md",
];

const MADE_UP = ["model.gguf", "model.flash", "model.predictor.gguf", "m.gguf", "m.flash", "silu.gguf", "model.json", "once.trace", "text.trace", "novel.txt", "book.txt", "text.txt", "report.json", "phone.json", "a.jsonl", "b.jsonl", "laptop.json", "my-phone.json", "my-results"];

const examples = (commands: ReadonlyArray<Command>): ReadonlyArray<Shown> => commands.flatMap(({ name, examples: all }) => all.map(([text]) => ({ where: `${name} --help`, text: `neuronlab ${text}`, before: [], exit: 0, as: "line" as const })));

const matches = ({ shows }: Apart, text: string): boolean => (typeof shows === "string" ? shows === text : shows.test(text));

/** What becomes of each: run, run in another form, looked at only; and what is wrong with the texts themselves. */
export const plansOf = (root: string, commands: ReadonlyArray<Command>, apart: ReadonlyArray<Apart>): { readonly plans: ReadonlyArray<Plan>; readonly mistakes: ReadonlyArray<Mistake> } => {
  const mistakes: Array<Mistake> = [];
  const used = new Set<Apart>();
  const script = readFileSync(join(root, ".ci/run"), "utf8");
  const form = isForm(commands);
  const unknown = unknownWords(commands);
  const plan = (path: string, all: ReadonlyArray<Shown>): Plan => {
    const runs: Array<Run> = [];
    let forms = 0;
    let only = 0;
    for (const shown of all) {
      const { where, text } = shown;
      for (const what of unknown(text)) mistakes.push({ where, what: `${what}: ${text}` });
      // What a form stands for is not typed, so nothing is run in its place either.
      const entry = apart.find((one) => matches(one, text) && !("run" in one.instead && form(text)));
      if (entry === undefined && form(text)) forms += 1;
      // Of a command in a sentence nothing but switches, or its name: what it is called, not what to type.
      else if (entry === undefined && shown.as === "short" && /^neuronlab [a-z-]+(?: --[a-z-]+)*$/.test(text)) forms += 1;
      else if (entry === undefined && shown.as === "words" && /^(?:npx neuronlab|neuronlab(?: [a-z-]+)?)$/.test(text)) runs.push({ shown, line: `${text} --help`, note: "" });
      else if (entry === undefined) runs.push({ shown, line: text, note: "" });
      else {
        used.add(entry);
        only += 1;
        if ("run" in entry.instead) runs.push({ shown, line: typeof entry.instead.run === "string" ? entry.instead.run : entry.instead.run(text), note: `  (for ${text}: ${entry.why})` });
        if ("step" in entry.instead && !script.includes(entry.instead.step)) mistakes.push({ where, what: `.ci/run has no step with "${entry.instead.step}", which was to stand for ${text}` });
        if ("files" in entry.instead) for (const file of entry.instead.files(text).filter((one) => !existsSync(join(root, one)) && !existsSync(join(root, one.replace(/\.rs$/, "/main.rs"))))) mistakes.push({ where, what: `names ${file}, which is not there: ${text}` });
      }
    }
    return { path, runs, forms, apart: only, fixtures: (folder) => MADE_UP.map((name) => join(folder, name)).filter((file) => existsSync(file)) };
  };
  const names = commands.map(({ name }) => name);
  const plans = textsIn(root).map((path) => {
    const { shown, unmarked } = shownIn(path, readFileSync(join(root, path), "utf8"), names);
    for (const { where, text } of unmarked) mistakes.push({ where, what: `looks like a command, in a block that does not say \`\`\`sh: ${text}` });
    return plan(path, shown);
  });
  const all = [...plans, plan("--help", examples(commands))];
  for (const entry of apart) if (!used.has(entry)) mistakes.push({ where: "test/docs/shown/apart.ts", what: `no text shows ${String(entry.shows)} any more` });
  return { plans: all, mistakes };
};
