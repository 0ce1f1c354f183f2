/** The same run in a terminal: the words, and the file that they need where words are not enough. */
import { encodePlan } from "../../sim/domain/plan.js";
import { START, type State } from "./state.js";
import { TOKENS, declarationOf, numbersOf, type Outcome } from "./run.js";

export interface Terminal { readonly command: string; readonly file: { readonly name: string; readonly text: string } | null }

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

const named = (state: State): string =>
  (["device", "model", "system"] as const).filter((key) => state[key] !== START[key]).map((key) => ` --${key} ${state[key]}`).join("");

/** Flags where they say it all; else the declaration, which says everything. */
export const terminalOf = (state: State): Terminal => {
  const numbers = numbersOf(state);
  const fidelity = state.fidelity === START.fidelity ? "" : ` --fidelity ${state.fidelity}`;
  if (numbers.every(([name]) => name === "memory"))
    return { command: `neuronlab simulate${named(state)}${state.memory === null ? "" : ` --memory ${state.memory}GiB`} --tokens ${TOKENS}${fidelity}`, file: null };
  return { command: "neuronlab sweep phone.json", file: { name: "phone.json", text: json(declarationOf(state)) } };
};

/** What ran, for `simulate --plan`, and for `generate --plan` on a real machine. */
export const planFileOf = ({ record }: Outcome): { readonly name: string; readonly text: string } => ({ name: "plan.json", text: json(encodePlan(record.plan)) });
