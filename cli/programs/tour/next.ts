/** What to try after the tour: commands that work as they stand, with the files that it left. */
import { join } from "node:path";
import { THIS_HOST } from "../../program.js";
import type { Figure } from "./figure.js";
import type { Machine } from "./machine.js";
import { gibibytes, type Phone } from "./phone.js";
import { RUN_FILES, type TourRun } from "./run.js";

export interface Next { readonly does: string; readonly words: ReadonlyArray<string> }

/** What came about; null where it did not. */
export interface Found { readonly machine: Machine | null; readonly run: TourRun | null; readonly phone: Phone | null; readonly figure: Figure | null }

/** Words that a trained model can go on with; a made-up one has words of its own. */
const PROMPTS = { "shipped": "Once upon a time", "made up": "the other one" } as const;

const afterRun = (run: TourRun, machine: Machine | null, out: string): ReadonlyArray<Next> => {
  const { ready, reading, origin } = run.model;
  const at = (name: string): string => join(out, name);
  const plan = at(RUN_FILES.plan);
  return [
    {
      does: `${origin === "shipped" ? "a text of your own" : "the same with other words"}, and a timeline of every thread and read (for ui.perfetto.dev)`,
      words: ["generate", "--model", ready.file, "--plan", plan, "--prompt", PROMPTS[origin], "--trace", at("timeline.json")],
    },
    ...(machine === null ? [] : [
      {
        does: "the prediction of that run again, with what bounds it",
        words: ["simulate", "--device", THIS_HOST, "--model", at(RUN_FILES.model), "--plan", plan, "--activations", ready.file.replace(/\.flash$/, ".trace"), "--fidelity", "neuron", "--prompt", "1", "--tokens", String(reading.tokens)],
      },
      { does: "predicted beside measured for sixteen plans of four models (two minutes)", words: ["validate", "host", "--quick", "--out", at("validate")] },
    ]),
  ];
};

export const nextOf = ({ machine, run, phone, figure }: Found, out: string): ReadonlyArray<Next> => [
  ...(run === null ? [{ does: "what this machine lacks for the engine", words: ["doctor"] }] : afterRun(run, machine, out)),
  ...(phone === null ? [] : [
    { does: "the tuned plan on the phone: where a token's time goes", words: ["simulate", "--plan", phone.plan] },
    { does: "why that plan is the best, and what its doubts are", words: ["tune", "--memory", gibibytes(phone.tuning.cell.request.memory._tag === "Bytes" ? phone.tuning.cell.request.memory.bytes : phone.tuned.plan.memory)] },
    { does: "another phone, another model", words: ["tune", "--device", "oneplus-13", "--model", "bamboo-7b", "--memory", "3GiB", "--out", join(out, "oneplus-13.plan.json")] },
  ]),
  ...(figure === null ? [] : [{ does: "every figure and table of the paper", words: ["reproduce", "--out", join(out, "paper")] }]),
];
