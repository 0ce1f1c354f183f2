/** The recorded text that comes with neuronlab, for commands that were given none. */
import { E, TE, pipe } from "../../../sim/base/fp.js";
import { badInput } from "../../../sim/base/errors.js";
import type { Program } from "../../program.js";

export const TRACE_ENDING = ".trace";

/** Beside the model that comes along, under its name; `where` is the command that needs it. */
export const shippedTrace = (where: string): Program<string> => ({ shippedModels }) =>
  pipe(
    shippedModels,
    TE.chainEitherK(([first]) => (first === undefined ? E.left(badInput(where, [{ path: "FILE", message: "no model came along; name an activation trace as neuronlab record writes it" }])) : E.right(first.replace(/\.gguf$/, TRACE_ENDING)))),
  );
