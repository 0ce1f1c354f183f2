/** The models of `validate host`: made up, or the user's own files. */
import { basename, join } from "node:path";
import { TE, type TaskEither } from "../../../sim/base/fp.js";
import { badInput, type AppError } from "../../../sim/base/errors.js";
import type { ModelShape } from "../../../experiments/validate/cells.js";
import type { Capabilities } from "../../program.js";
import { preparedFile, preparedShape, type Prepared } from "../models/prepared.js";

/** The text that every run reads and continues. */
export const PROMPT = "the other one is that of the time and of those who were there when it was over and the others had gone";

/** Synthesised where they are not there yet; `tokens` of each are recorded. */
export const validateShape = (capabilities: Capabilities, folder: string, shape: ModelShape, tokens: number): TaskEither<AppError, Prepared> =>
  preparedShape(capabilities, { folder, reading: { prompt: PROMPT, tokens } }, shape);

/** A GGUF file of the user's own. */
export const validateFile = (capabilities: Capabilities, folder: string, file: string, tokens: number): TaskEither<AppError, Prepared> =>
  basename(file).endsWith(".gguf")
    ? preparedFile(capabilities, { folder: join(folder, "given"), reading: { prompt: PROMPT, tokens } }, file)
    : TE.left(badInput("neuronlab validate host", [{ path: "--models", message: `should be GGUF files (.gguf), got ${file}` }]));
