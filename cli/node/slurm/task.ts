import { E, type TaskEither } from "../../../sim/base/fp.js";
import type { AppError } from "../../../sim/base/errors.js";
import type { Served, Sharing } from "../../worker.js";
export const sharing = (_how: Sharing, _log: (line: string) => void) => (_signal: AbortSignal): TaskEither<AppError, Served> => async () => Promise.resolve(E.right({ made: 0, refused: 0, givenBack: 0, late: 0 }));
