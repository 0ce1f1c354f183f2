import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { decode } from "../../sim/base/decode.js";
import { deviceCodec } from "../../sim/domain/device.js";
import { modelCodec } from "../../sim/domain/model.js";
import { systemCodec } from "../../sim/domain/system.js";
import { runMany } from "../../cli/node/pool.js";
import { progressOf } from "../../cli/node/progress.js";
import { readProfile } from "../../cli/node/profiles.js";
import { packageRoot } from "../../cli/node/package.js";
import type { ProfileKind, RunInputs } from "../../cli/program.js";

const load = async <A>(kind: ProfileKind, name: string, codec: Parameters<typeof decode<A>>[0]): Promise<A> => {
  const loaded = await readProfile(packageRoot())(kind, name)();
  const decoded = E.isRight(loaded) ? decode(codec, name)(loaded.right.raw) : loaded;
  if (E.isLeft(decoded)) throw new Error(JSON.stringify(decoded.left));
  return decoded.right;
};

describe("many runs in this process", () => {
  it("come back in the order of the requests, answers and refusals alike", async () => {
    const [device, model, system] = [await load("device", "oneplus-12", deviceCodec), await load("model", "bamboo-7b", modelCodec), await load("system", "powerinfer-2", systemCodec)];
    const inputs = [4, 0.5, 6].map((gb): RunInputs => ({ device, model, system, request: { device: device.name, model: model.name, system: system.name, memory: { _tag: "Bytes", bytes: gb * 1e9 }, phase: "decode", prompt: 64, tokens: 2, batch: 1, seed: 1, fidelity: "analytic" } }));
    const outcomes = await runMany(inputs, { workers: 1 })();
    expect(E.isRight(outcomes) && outcomes.right.map((outcome) => (E.isRight(outcome) ? outcome.right.inputs.memory : outcome.left._tag))).toEqual([{ _tag: "Bytes", bytes: 4e9 }, "DoesNotFit", { _tag: "Bytes", bytes: 6e9 }]);
  });
});

describe("progress", () => {
  it("is silent when stderr is not a terminal", () => {
    const stream = new PassThrough() as unknown as NodeJS.WriteStream;
    const progress = progressOf(10, stream);
    progress.step();
    progress.end();
    expect((stream as unknown as PassThrough).read()).toBeNull();
  });
});
