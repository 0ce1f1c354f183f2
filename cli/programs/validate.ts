/** Which validation: this machine, what was tuned for it, or recorded runs of a phone. */
import type { Command, Words } from "../command.js";
import type { Answer, Program } from "../program.js";

/** The programs, with the command whose words they read. */
export type Validations = Readonly<Record<"host" | "tuned" | "phone", (command: Command) => (given: Words) => Program<Answer>>>;

/** The first word chooses; of a phone's, the second is the folder. Anything else is the first one's to refuse. */
export const validateProgram = ({ host, tuned, phone }: Validations) => (command: Command) => ({ named: { what, ...named }, extra }: Words): Program<Answer> => {
  const words = (Array.isArray(what) ? what : what === undefined ? [] : [what]).map(String);
  if (words[0] === "phone") return phone(command)({ named: { ...named, ...(words.length > 1 ? { folder: words[1] } : {}) }, extra: [...words.slice(2), ...extra] });
  return (words[0] === "tuned" ? tuned : host)(command)({ named: { ...named, ...(words.length > 0 ? { what: words[0] } : {}) }, extra: [...words.slice(1), ...extra] });
};
