import { workersFlag, type Command } from "../command.js";
import { redisFlags } from "./executor-flags.js";

export const workerCommand: Command = {
  name: "worker",
  summary: "Make runs for sweeps on other machines: neuronlab sweep FILE --executor bullmq, or a task of --executor slurm; Ctrl-C gives back what is under way",
  flags: [
    ...redisFlags,
    workersFlag,
    { name: "idle-exit", value: "SECONDS", help: "end after so long without work (default: never)" },
    { name: "lock", value: "SECONDS", help: "a run whose worker was not heard from for so long is given to another (default: 30)" },
    { name: "jobs", value: "DIR", help: "the folder of a job array; written into its script by sweep" },
    { name: "task", value: "N", help: "which task of that array this is" },
  ],
  examples: [
    ["worker --redis redis://queue.example:6379", "serve sweeps, as many runs at a time as there are cores"],
    ["worker --redis redis://127.0.0.1:6379 --workers 2 --idle-exit 600", "two at a time; end after ten minutes without work"],
  ],
  load: async () => (await import("../programs/worker.js")).workerProgram(workerCommand),
};
