import type { Command } from "../command.js";

export const doctorCommand: Command = {
  name: "doctor",
  summary: "Check this machine: what is here, what is missing and what it would enable; changes nothing",
  flags: [],
  examples: [["doctor", "look"], ["doctor --format json", "the same for a program"]],
  load: async () => (await import("../programs/doctor.js")).doctorProgram(doctorCommand),
};
