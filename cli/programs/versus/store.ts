/**
 * Finished cells in files of their own, so that a comparison that was interrupted, or killed, goes on where it stopped. A file holds what was asked with what
 * came of it; it counts only where all of that is the same: words, programs, and the models' sizes and times.
 */
import { join } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import { parseJson } from "../../../sim/base/decode.js";
import type { AppError } from "../../../sim/base/errors.js";
import { wordsOf } from "../bench/words.js";
import { testIn, type Cell, type Finished } from "./cell.js";
import type { Setting } from "./rounds.js";
import { theirFile } from "./turn.js";

const SCHEMA = "neuronlab/versus-cell@1";

const slug = (text: string): string => text.replaceAll(/[^A-Za-z0-9._-]+/g, "-");

/** Readable, and different for different cells of one comparison: models of one name in two folders are told apart by their place. */
export const fileOf = (folder: string, models: ReadonlyArray<string>, cell: Cell): string => {
  const { model, memory } = cell.request;
  return join(folder, "cells", `${models.indexOf(model) + 1}-${slug(model.split("/").at(-1) ?? model)}-${testIn(cell)}-${cell.threads}t-${memory === null ? "all" : `${memory}B`}-${cell.cache}.json`);
};

/** All that a result depends on, as one value that is compared as text. */
const askedOf = ({ args, rival, sizes, rounds, capabilities }: Setting, cell: Cell): unknown => ({
  words: wordsOf(args, cell),
  version: capabilities.version,
  rival: { version: rival.version, inMemory: rival.inMemory, paging: rival.paging },
  baseline: args["baseline-args"],
  cache: cell.cache,
  share: cell.share,
  rounds,
  machine: capabilities.machine,
  files: [cell.request.model, theirFile(cell, { program: "llama.cpp", against: "same file" }), ...(cell.pair === null ? [] : [cell.pair]), ...(cell.request.predictor === null ? [] : [cell.request.predictor])].map((file) => ({ file, ...sizes.get(file) })),
});

interface Stored { readonly schema: string; readonly asked: unknown; readonly finished: Pick<Finished, "measured" | "gaps" | "baselines"> }

export const readCell = (setting: Setting, path: string, cell: Cell): TaskEither<AppError, Finished | null> =>
  pipe(
    setting.capabilities.readStored(path),
    TE.map((text) => {
      const read = text === null ? null : parseJson(path, text);
      if (read === null || E.isLeft(read)) return null;
      const stored = read.right as Partial<Stored>;
      const same = stored.schema === SCHEMA && stored.finished !== undefined && JSON.stringify(stored.asked) === JSON.stringify(askedOf(setting, cell));
      return same ? { cell, ...stored.finished! } : null;
    }),
  );

export const writeCell = (setting: Setting, path: string, { cell, measured, gaps, baselines }: Finished): TaskEither<AppError, void> =>
  setting.capabilities.write([{ path, text: `${JSON.stringify({ schema: SCHEMA, asked: askedOf(setting, cell), finished: { measured, gaps, baselines } } satisfies Stored, null, 1)}\n` }]);
