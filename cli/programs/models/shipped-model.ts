/** The model that comes with neuronlab, for commands that were given none. */
import { RTE, TE, pipe } from "../../../sim/base/fp.js";
import type { Words } from "../../command.js";
import type { Program } from "../../program.js";

/** The same words, with `--model` naming the model that comes along where they name none; as they are where none comes along. */
export const withShippedModel = (given: Words): Program<Words> =>
  given.named["model"] !== undefined
    ? RTE.right(given)
    : ({ shippedModels }) => pipe(shippedModels, TE.map(([first]) => (first === undefined ? given : { ...given, named: { ...given.named, model: first } })));
