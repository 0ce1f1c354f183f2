/** What a command is: data for yargs, and a program that is loaded when it is asked for. */
import type { Answer, Program } from "./program.js";

export interface Flag {
  readonly name: string;
  /** One letter that means the same. */
  readonly short?: string;
  /** What stands after it, such as SIZE; null for a switch. */
  readonly value: string | null;
  readonly help: string;
  /** Its value may begin with a dash: words for another program. */
  readonly dashes?: true;
}

/** The words of a command line as yargs found them: flags and positionals by name, and words that nobody asked for. */
export interface Words { readonly named: Readonly<Record<string, unknown>>; readonly extra: ReadonlyArray<string> }

export interface Command {
  readonly name: string;
  /** Such as "[NAME]", "FILE" or "[ID…]", with the key that its value gets. */
  readonly positional?: { readonly key: string; readonly shown: string; readonly many: boolean; readonly help: string };
  readonly summary: string;
  readonly flags: ReadonlyArray<Flag>;
  /** What to type after `neuronlab`, and what it does. Each must work. */
  readonly examples: ReadonlyArray<readonly [command: string, does: string]>;
  readonly load: () => Promise<(words: Words) => Program<Answer>>;
}

export const sharedFlags: ReadonlyArray<Flag> = [
  { name: "format", value: "FORMAT", help: "table or json (default: table)" },
  { name: "seed", value: "N", help: "seed of all random draws, a whole number" },
];

export const workersFlag: Flag = { name: "workers", value: "N", help: "runs at the same time (default: one for each core); the results do not depend on it" };
