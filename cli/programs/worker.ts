/** Makes runs that sweeps elsewhere ask for: from a queue, or as one task of a job array. What comes is data; the code is this program's own. */
import { RTE, TE, pipe } from "../../sim/base/fp.js";
import { absent, decodeWords, optional, outputFolder, shared, wholeNumber, workers } from "../args.js";
import type { Command, Words } from "../command.js";
import { inFormat, type Answer, type Program } from "../program.js";
import type { Served } from "../worker.js";
import { queueOf, redisFields } from "./redis-words.js";

const DAY = 24 * 3600;

const fields = { ...shared, workers, ...redisFields, "idle-exit": absent(wholeNumber(1, 7 * DAY)), lock: optional(wholeNumber(1, DAY), 30), jobs: absent(outputFolder), task: absent(wholeNumber(0, 10_000_000)) };

const answerOf = (format: "table" | "json") => (served: Served): Answer => {
  const { made, refused, givenBack, late } = served;
  const parts = [`${made} run${made === 1 ? "" : "s"} made`, ...(refused > 0 ? [`${refused} refused`] : []), ...(givenBack > 0 ? [`${givenBack} given back`] : []), ...(late > 0 ? [`${late} too late`] : [])];
  return { stdout: inFormat(format, { text: parts.join(", "), json: { schema: "neuronlab/worker@1", ...served } }), exit: refused > 0 && made === 0 ? 3 : 0 };
};

export const workerProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, fields, (args) => [
      ...((args.jobs === null) !== (args.task === null) && args.jobs !== undefined && args.task !== undefined ? [{ path: "--task", message: "and --jobs go together: the folder of a job array, and which of its tasks this is" }] : []),
      ...(typeof args.jobs === "string" && typeof args.redis === "string" ? [{ path: "--redis", message: "and --jobs contradict each other; give one of them" }] : []),
    ])(given)),
    RTE.chain((args): Program<Answer> => (capabilities) => {
      const cores = args.workers ?? capabilities.machine.cores;
      const { jobs: folder, task, "idle-exit": idle } = args;
      const served = folder !== null && task !== null
        ? pipe(capabilities.code, TE.chain(({ hash }) => capabilities.interruptible(capabilities.workers.share({ folder, task, workers: cores, code: hash }))))
        : pipe(queueOf(args)(capabilities), TE.chain((queue) => capabilities.interruptible(capabilities.workers.serve({ queue, workers: cores, lockMs: args.lock * 1000, idleMs: idle === null ? null : idle * 1000 }))));
      return pipe(served, TE.map(answerOf(args.format)));
    }),
  );
