/** The record of a short run with all spans of its second token: what the page on the pipeline shows where nobody has saved a run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { E, pipe, type Either } from "../../sim/base/fp.js";
import { decode, type Codec } from "../../sim/base/decode.js";
import { describeError, type AppError } from "../../sim/base/errors.js";
import { deviceCodec } from "../../sim/domain/device.js";
import { modelCodec } from "../../sim/domain/model.js";
import { encodeRecord, type RunRequest } from "../../sim/domain/run.js";
import { systemCodec } from "../../sim/domain/system.js";
import { simulate } from "../../sim/inference/simulate.js";

const REQUEST: RunRequest = { device: "oneplus-12", model: "bamboo-7b", system: "powerinfer-2", memory: { _tag: "OffloadFfn", share: 0.5 }, phase: "decode", prompt: 64, tokens: 2, batch: 1, seed: 1, fidelity: "cluster", trace: true };

export const simulatedToken = (home: string): string => {
  const profile = <A>(folder: string, name: string, codec: Codec<A>): Either<AppError, A> => decode(codec, name)(JSON.parse(readFileSync(join(home, folder, `${name}.json`), "utf8")));
  const made = pipe(
    E.Do,
    E.bind("device", () => profile("devices", REQUEST.device, deviceCodec)),
    E.bind("model", () => profile("models", REQUEST.model, modelCodec)),
    E.bind("system", () => profile("systems", REQUEST.system, systemCodec)),
    E.chain((profiles) => simulate({ ...profiles, request: REQUEST })),
  );
  if (E.isLeft(made)) throw new Error(describeError(made.left));
  return JSON.stringify(encodeRecord({ ...made.right, spans: made.right.spans.filter(({ token }) => token === 1) }));
};
