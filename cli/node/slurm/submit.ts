import { TE } from "../../../sim/base/fp.js";
import type { Execute, SlurmJob } from "../../executor.js";
export const arraying = (_slurm: SlurmJob, _log: (line: string) => void) => (_feed: unknown, _signal: AbortSignal): ReturnType<Execute> => TE.right({ notes: [] });
