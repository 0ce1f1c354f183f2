/**
 * What the assumptions mean for a predicted speed: the same plan simulated with the recorded neurons, with neurons drawn from their statistics, with clusters
 * drawn, and in closed form; and how far a published model's predictions hang on the statistics that nobody has published for it.
 */
import type { DeviceProfile } from "../../../sim/domain/device.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { RunRecord, RunRequest } from "../../../sim/domain/run.js";
import type { SystemSpec } from "../../../sim/domain/system.js";
import { GIB } from "../../study.js";

export interface Inputs { readonly device: DeviceProfile; readonly model: ModelSpec; readonly system: SystemSpec; readonly request: RunRequest; readonly activations?: Uint8Array }

/** A run that is wanted, and where its answer goes. */
export interface Asked { readonly at: string; readonly of: string; readonly inputs: Inputs }

export interface SpeedRow { readonly at: string; readonly runs: ReadonlyArray<{ readonly of: string; readonly tokensPerSec: number; readonly hitRate: number }> }

const TOKENS = 256;
/** Shares of the FFN that stay on flash. */
const OFFLOADS = [0.25, 0.5, 0.75, 0.9] as const;
const MEMORIES = [7, 11, 19] as const;

export const RECORDED = "recorded";

/** `model` has the statistics of other tokens than those that are played, which are the first of the text. */
export const askedOfModel = (device: DeviceProfile, systems: ReadonlyArray<SystemSpec>, model: ModelSpec, bytes: Uint8Array, prompt: number, seed: number): ReadonlyArray<Asked> => {
  const means = { ...model, activations: { ...model.activations, layers: null } };
  return systems.flatMap((system) => OFFLOADS.flatMap((share) => {
    const request = (fidelity: RunRequest["fidelity"]): RunRequest => ({ device: device.name, model: model.name, system: system.name, memory: { _tag: "OffloadFfn", share }, phase: "decode", prompt, tokens: TOKENS, batch: 1, seed, fidelity });
    const at = `${system.name}, ${Math.round(100 * share)} % of the FFN on flash`;
    return [
      { at, of: RECORDED, inputs: { device, system, model, activations: bytes, request: { ...request("neuron"), activations: model.name } } },
      ...(["neuron", "cluster", "analytic"] as const).flatMap((fidelity) => [
        { at, of: fidelity, inputs: { device, system, model: means, request: request(fidelity) } },
        { at, of: `${fidelity}, by layer`, inputs: { device, system, model, request: request(fidelity) } },
      ]),
    ];
  }));
};

type Activations = ModelSpec["activations"];

/** The published model as it stands, and with one statistic of the recorded one in the place of its own. */
export const askedOfPublished = (device: DeviceProfile, system: SystemSpec, published: ModelSpec, recorded: ModelSpec, seed: number): ReadonlyArray<Asked> => {
  const put = (changed: Partial<Activations>): ModelSpec => ({ ...published, activations: { ...published.activations, ...changed } });
  const variants: ReadonlyArray<readonly [string, ModelSpec]> = [
    ["as published", published],
    ["curve", put({ skew: recorded.activations.skew })],
    ["overlap", put({ tokenOverlap: recorded.activations.tokenOverlap })],
    ["variation", put({ tokenVariation: recorded.activations.tokenVariation })],
    ["expert repeat", { ...published, experts: { ...published.experts, repeat: recorded.experts.repeat } }],
  ];
  return MEMORIES.flatMap((gib) => variants.map(([of, model]): Asked => ({
    at: `${gib} GiB`, of,
    inputs: { device, system, model, request: { device: device.name, model: model.name, system: system.name, memory: { _tag: "Bytes", bytes: gib * GIB }, phase: "decode", prompt: 64, tokens: 128, batch: 1, seed, fidelity: "cluster" } },
  })));
};

export const speedRows = (asked: ReadonlyArray<Asked>, runs: ReadonlyArray<RunRecord>): ReadonlyArray<SpeedRow> =>
  [...new Set(asked.map(({ at }) => at))].map((at) => ({ at, runs: asked.flatMap((one, i) => (one.at === at ? [{ of: one.of, tokensPerSec: runs[i]!.tokensPerSec, hitRate: runs[i]!.cacheHitRate }] : [])) }));
