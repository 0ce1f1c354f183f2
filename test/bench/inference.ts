/**
 * Speed of whole runs: tokens simulated per second by fidelity, and kernel events per second under the phone's own handlers
 * (a hold model times the queue alone). Checks first that the answer is the one that `simulate` gives.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { decode as decodeJson, parseJson, type Codec } from "../../sim/base/decode.js";
import { describeError, type AppError } from "../../sim/base/errors.js";
import { E, pipe, type Either } from "../../sim/base/fp.js";
import { deviceCodec } from "../../sim/domain/device.js";
import { modelCodec } from "../../sim/domain/model.js";
import type { Fidelity, RunRequest } from "../../sim/domain/run.js";
import { systemCodec } from "../../sim/domain/system.js";
import { clusterWork } from "../../sim/inference/cluster-work.js";
import { decode } from "../../sim/inference/decode.js";
import { layerRates } from "../../sim/inference/layer-rates.js";
import { simulate } from "../../sim/inference/simulate.js";
import { layerLaws, sparseDraws } from "../../sim/inference/sparse-draws.js";
import { defaultPlan } from "../../sim/planner/default-plan.js";

export interface InferenceBenchRow {
  readonly what: string;
  readonly unit: string;
  readonly best: number;
  readonly median: number;
}

const ROUNDS = 7;

const orThrow = <A>(result: Either<AppError, A>): A =>
  pipe(
    result,
    E.getOrElse((error): A => {
      throw new Error(describeError(error));
    }),
  );

/** Compiled, this file lies in dist/test/bench; the profiles are in the repository's root. */
const load = <A>(codec: Codec<A>, path: string): A =>
  orThrow(pipe(parseJson(path, readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), "utf8")), E.chain(decodeJson(codec, path))));

const timed = (what: string, unit: string, once: () => number): InferenceBenchRow => {
  const values = Array.from({ length: ROUNDS }, once).sort((a, b) => b - a);
  return { what, unit, best: values[0], median: values[ROUNDS >> 1] };
};

export const benchInference = (): ReadonlyArray<InferenceBenchRow> => {
  const device = load(deviceCodec, "devices/oneplus-12.json");
  const model = load(modelCodec, "models/turbosparse-mixtral-47b.json");
  const system = load(systemCodec, "systems/powerinfer-2.json");
  const request = (fidelity: Fidelity, tokens: number): RunRequest => ({
    device: device.name, model: model.name, system: system.name, memory: { _tag: "Bytes", bytes: 13e9 }, phase: "decode", prompt: 128, tokens, batch: 1, seed: 1, fidelity,
  });
  const run = (fidelity: Fidelity, tokens: number) => orThrow(simulate({ device, model, system, request: request(fidelity, tokens) }));

  const asked = request("cluster", 256);
  const plan = orThrow(defaultPlan(device, model, system, asked));
  const rates = layerRates(device, model, system, plan, asked);
  const laws = layerLaws(model, plan, rates, asked);
  const efficiency = { dense: system.software.denseEfficiency.value, sparse: system.software.sparseEfficiency.value };
  const eventsPerSec = (): number => {
    const draws = sparseDraws(model, plan, rates, asked, laws);
    const startMs = performance.now();
    const done = orThrow(decode({ device, layers: model.layers, plan, rates, request: asked, efficiency, work: clusterWork({ model, plan, rates, laws, request: asked, draws }) }));
    const seconds = (performance.now() - startMs) / 1e3;
    if (done.wallNs !== whole.wallNs) throw new Error(`the loop ends at ${done.wallNs} ns, simulate at ${whole.wallNs} ns`);
    return done.phone.kernel.processed / seconds / 1e6;
  };
  const whole = run("cluster", 256);
  const tokensPerSec = (fidelity: Fidelity, tokens: number) => (): number => {
    const startMs = performance.now();
    if (!(run(fidelity, tokens).wallNs > 0)) throw new Error("a run took no time");
    return (tokens / (performance.now() - startMs)) * 1e3;
  };
  eventsPerSec();
  return [
    timed("decode, 47B at 13 GB: events with the phone's handlers", "M events per s", eventsPerSec),
    timed("cluster fidelity, 1024 tokens of 47B", "simulated tokens per s", tokensPerSec("cluster", 1024)),
    timed("neuron fidelity, 32 tokens of 47B, warm-up included", "simulated tokens per s", tokensPerSec("neuron", 32)),
    timed("analytic fidelity, 47B", "runs per s", () => tokensPerSec("analytic", 1)()),
  ];
};
