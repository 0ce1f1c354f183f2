/** Which validation: this machine, or recorded runs of a phone. */
import type { Command, Words } from "../command.js";
import type { Answer, Program } from "../program.js";

/** Both programs, with the command whose words they read. */
export interface Validations { readonly host: (command: Command) => (given: Words) => Program<Answer>; readonly phone: (command: Command) => (given: Words) => Program<Answer> }

/** The first word chooses; of a phone's, the second is the folder. Anything else is the first one's to refuse. */
export const validateProgram = ({ host, phone }: Validations) => (command: Command) => ({ named: { what, ...named }, extra }: Words): Program<Answer> => {
  const words = (Array.isArray(what) ? what : what === undefined ? [] : [what]).map(String);
  if (words[0] === "phone") return phone(command)({ named: { ...named, ...(words.length > 1 ? { folder: words[1] } : {}) }, extra: [...words.slice(2), ...extra] });
  return host(command)({ named: { ...named, ...(words.length > 0 ? { what: words[0] } : {}) }, extra: [...words.slice(1), ...extra] });
};
