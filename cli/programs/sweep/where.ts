/** Who makes the runs of a sweep, from what was typed. */
import { join, resolve } from "node:path";
import { E, RTE, TE, pipe } from "../../../sim/base/fp.js";
import { custom, type Codec } from "../../../sim/base/decode.js";
import type { Mistake } from "../../../sim/base/errors.js";
import { absent, choice, optional, outputFolder, switchedOn, wholeNumber, type Sound } from "../../args.js";
import type { Where } from "../../executor.js";
import type { Program } from "../../program.js";
import { queueOf, redisFields } from "../redis-words.js";
import { splitWords } from "../split-words.js";
import type { Sweeping } from "./make.js";

/** Words for sbatch, a line of the script each: none may begin another line. */
const sbatchWords: Codec<ReadonlyArray<string>> = custom("sbatch options", (raw) => {
  if (typeof raw !== "string" || raw.trim() === "") return E.left('has no value; write it like "--partition=short --time=1:00:00"');
  if (/\p{Cc}/u.test(raw)) return E.left("should be one line");
  const words = splitWords(raw);
  if (E.isLeft(words)) return words;
  const stray = words.right.find((one) => !/^--?[A-Za-z]/.test(one));
  return stray === undefined ? words : E.left(`options are written with =, like --partition=short; got ${stray}`);
});

export const whereFields = {
  executor: optional(choice("pool", "bullmq", "slurm"), "pool" as const),
  ...redisFields,
  patience: optional(wholeNumber(1, 7 * 24 * 3600), 300),
  "slurm-dir": absent(outputFolder),
  tasks: optional(wholeNumber(1, 100_000), 64),
  "at-once": absent(wholeNumber(1, 100_000)),
  sbatch: optional(sbatchWords, []),
  "no-wait": switchedOn,
};

type Fields = typeof whereFields;

/** Flags that say something to one executor only. */
const OF: Readonly<Record<string, "bullmq" | "slurm">> = { redis: "bullmq", "redis-ca": "bullmq", "slurm-dir": "slurm", "at-once": "slurm", "no-wait": "slurm" };

export const whereMistakes = (args: Sound<Fields>): ReadonlyArray<Mistake> =>
  Object.entries(OF).flatMap(([flag, executor]) => {
    const given = args[flag as keyof Fields];
    return given !== undefined && given !== null && given !== false && args.executor !== undefined && args.executor !== executor ? [{ path: `--${flag}`, message: `is for --executor ${executor}; write that too` }] : [];
  });

interface Asked {
  readonly executor: "pool" | "bullmq" | "slurm";
  readonly workers: number | null;
  readonly redis: string | null; readonly "redis-ca": string | null; readonly queue: string; readonly patience: number;
  readonly "slurm-dir": string | null; readonly tasks: number; readonly "at-once": number | null; readonly sbatch: ReadonlyArray<string>; readonly "no-wait": boolean;
}

/** `store` is the whole path of the store: what it asks for is kept apart from what others ask for. */
export const whereOf = (args: Asked, store: string): Program<(sweep: Sweeping) => Where> => {
  switch (args.executor) {
    case "pool":
      return RTE.right(() => ({ _tag: "Pool", workers: args.workers }));
    case "bullmq":
      return (capabilities) => pipe(queueOf(args)(capabilities), TE.map((queue) => () => ({ _tag: "Queue", queue, owner: capabilities.digest(`${capabilities.hostName}:${store}`).slice(0, 12), patience: args.patience })));
    case "slurm":
      return (capabilities) => TE.right(({ key, code }) => ({
        _tag: "Slurm",
        slurm: {
          folder: join(resolve(args["slurm-dir"] ?? `${store}.slurm`), `${key.slice(0, 12)}-${code.slice(0, 12)}`),
          self: capabilities.self, tasks: args.tasks, atOnce: args["at-once"], options: args.sbatch, cores: args.workers ?? 1, wait: !args["no-wait"],
        },
      }));
  }
};
