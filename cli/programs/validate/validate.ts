/** Which validation: this machine, what was tuned for it, recorded runs of a phone, or a recorded text. */
import { RTE } from "../../../sim/base/fp.js";
import { badInput } from "../../../sim/base/errors.js";
import type { Command, Words } from "../../command.js";
import type { Answer, Program } from "../../program.js";

/** The programs, with the command whose words they read. */
export type Validations = Readonly<Record<"host" | "tuned" | "phone" | "trace", (command: Command) => (given: Words) => Program<Answer>>>;

/** What the second word is called where it is wrong, as --help calls it. */
const second = (command: Command, key: string, shown: string): Command => ({ ...command, positional: { key, shown, many: false, help: shown } });

/** The first word chooses; the second is a phone's folder, or a text's file. Anything else is the first one's to refuse. */
export const validateProgram = ({ host, tuned, phone, trace }: Validations) => (command: Command) => ({ named: { what, ...named }, extra }: Words): Program<Answer> => {
  const words = (Array.isArray(what) ? what : what === undefined ? [] : [what]).map(String);
  if (words[0] === "phone" && !("check" in named)) return phone(second(command, "folder", "phone DIR"))({ named: { ...named, ...(words.length > 1 ? { folder: words[1] } : {}) }, extra: [...words.slice(2), ...extra] });
  if (words[0] === "trace") return trace(second(command, "trace", "trace [FILE]"))({ named: { ...named, ...(words.length > 1 ? { trace: words[1] } : {}) }, extra: [...words.slice(2), ...extra] });
  if ("check" in named) return RTE.left(badInput("neuronlab validate", [{ path: "--check", message: "is for validate trace: what a machine was measured at does not come out twice" }]));
  return (words[0] === "tuned" ? tuned : host)(command)({ named: { ...named, ...(words.length > 0 ? { what: words[0] } : {}) }, extra: [...words.slice(1), ...extra] });
};
