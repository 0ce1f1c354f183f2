/** Runs for tests: the shipped profiles, devices derived from them by scaling facts, and requests. */
import fc from "fast-check";
import { describeError, type AppError } from "../../sim/base/errors.js";
import { E, pipe, type Either } from "../../sim/base/fp.js";
import type { DeviceProfile } from "../../sim/domain/device.js";
import type { Fact } from "../../sim/domain/fact.js";
import type { ModelSpec } from "../../sim/domain/model.js";
import type { Plan } from "../../sim/domain/plan.js";
import type { Fidelity, MemoryRequest, Phase, SimulatedRun } from "../../sim/domain/run.js";
import type { Mechanisms, SystemSpec } from "../../sim/domain/system.js";
import { simulate } from "../../sim/inference/simulate.js";
import { loadDevice, loadModel, loadSystem } from "../data/profiles.js";

export const GIB = 2 ** 30;

const remembered = <A>(load: (path: string) => A, folder: string): ((name: string) => A) => {
  const known = new Map<string, A>();
  return (name) => {
    const found = known.get(name) ?? load(`${folder}/${name}.json`);
    known.set(name, found);
    return found;
  };
};
export const deviceNamed: (name: string) => DeviceProfile = remembered(loadDevice, "devices");
export const modelNamed: (name: string) => ModelSpec = remembered(loadModel, "models");
export const systemNamed: (name: string) => SystemSpec = remembered(loadSystem, "systems");

export const SYSTEMS = ["powerinfer-2", "powerinfer-2-v1", "powerinfer-2-cpu-only", "llm-in-a-flash", "powerinfer", "llama.cpp", "qnn", "mlc-llm"] as const;
export const SPARSE_SYSTEMS = ["powerinfer-2", "powerinfer-2-v1", "powerinfer-2-cpu-only", "llm-in-a-flash", "powerinfer"] as const;

export interface Asked {
  /** Profiles by name, or altered ones. */
  readonly device?: DeviceProfile;
  readonly model?: ModelSpec;
  readonly system?: SystemSpec | (typeof SYSTEMS)[number];
  readonly memory?: MemoryRequest;
  readonly gib?: number;
  readonly phase?: Phase;
  readonly prompt?: number;
  readonly tokens?: number;
  readonly batch?: number;
  readonly seed?: number;
  readonly fidelity?: Fidelity;
  readonly mechanisms?: Partial<Mechanisms>;
  readonly plan?: Plan;
  readonly trace?: boolean;
}

export const asRun = (asked: Asked): Either<AppError, SimulatedRun> => {
  const device = asked.device ?? deviceNamed("oneplus-12");
  const model = asked.model ?? modelNamed("bamboo-7b");
  const system = typeof asked.system === "object" ? asked.system : systemNamed(asked.system ?? "powerinfer-2");
  return simulate({
    device, model, system,
    request: {
      device: device.name, model: model.name, system: system.name,
      memory: asked.memory ?? (asked.gib === undefined ? { _tag: "All" } : { _tag: "Bytes", bytes: asked.gib * GIB }),
      phase: asked.phase ?? "decode", prompt: asked.prompt ?? 128, tokens: asked.tokens ?? 16, batch: asked.batch ?? 1, seed: asked.seed ?? 1, fidelity: asked.fidelity ?? "cluster",
      ...(asked.mechanisms === undefined ? {} : { mechanisms: asked.mechanisms }), ...(asked.plan === undefined ? {} : { plan: asked.plan }), ...(asked.trace === undefined ? {} : { trace: asked.trace }),
    },
  });
};

/** The run, or an error with the text a user would read. */
export const run = (asked: Asked): SimulatedRun =>
  pipe(
    asRun(asked),
    E.getOrElse((error): SimulatedRun => {
      throw new Error(describeError(error));
    }),
  );

/** The run, or null where the honest answer is that it does not fit or is not supported. */
export const runIfFits = (asked: Asked): SimulatedRun | null =>
  pipe(
    asRun(asked),
    E.getOrElse((error): SimulatedRun | null => {
      if (error._tag !== "DoesNotFit" && error._tag !== "Unsupported") throw new Error(describeError(error));
      return null;
    }),
  );

const times = (fact: Fact, factor: number): Fact => ({ ...fact, value: fact.value * factor });

/** Every rate of the flash times `factor`, its latency over it. */
export const withFasterFlash = (device: DeviceProfile, factor: number): DeviceProfile => ({
  ...device,
  flash: {
    ...device.flash,
    sequential: device.flash.sequential.map((p) => ({ ...p, rate: times(p.rate, factor) })),
    random: device.flash.random.map((p) => ({ ...p, rate: times(p.rate, factor) })),
    latency: times(device.flash.latency, 1 / factor),
  },
});

export const withFasterCpu = (device: DeviceProfile, factor: number): DeviceProfile => ({
  ...device,
  cpu: {
    ...device.cpu,
    bandwidth: times(device.cpu.bandwidth, factor),
    clusters: device.cpu.clusters.map((c) => ({ ...c, denseBandwidth: times(c.denseBandwidth, factor), sparseBandwidth: times(c.sparseBandwidth, factor), gemmRate: times(c.gemmRate, factor) })),
  },
});

export const withFasterNpu = (device: DeviceProfile, factor: number): DeviceProfile => ({
  ...device,
  npu: device.npu === null ? null : { ...device.npu, prefillRate: times(device.npu.prefillRate, factor), bulkBandwidth: times(device.npu.bulkBandwidth, factor), matvecBandwidth: times(device.npu.matvecBandwidth, factor) },
});

export const withFasterDram = (device: DeviceProfile, factor: number): DeviceProfile => ({
  ...device,
  dram: { ...device.dram, theory: times(device.dram.theory, factor), sustained: times(device.dram.sustained, factor) },
});

/** A model altered in what its neurons do. */
export const withLocality = (model: ModelSpec, tokenOverlap: number): ModelSpec => ({ ...model, activations: { ...model.activations, tokenOverlap: { ...model.activations.tokenOverlap, value: tokenOverlap } } });

/**
 * The same means, of layers and experts that differ as those of a trained model do: every fourth layer fires a fifth as often as the others, less evenly over its neurons, and its experts fall
 * off by two fifths each and come back oftener; those of the others fall off by a tenth.
 */
export const withLayersApart = (model: ModelSpec): ModelSpec => {
  const { activeShare, tokenOverlap, skew } = model.activations;
  const { count, active, repeat } = model.experts;
  const layers = Array.from({ length: model.layers }, (_, layer) => layer);
  const seldom = (layer: number): boolean => layer % 4 === 1;
  const partsOf = (all: ReadonlyArray<number>): ReadonlyArray<number> => ((sum) => all.map((one) => one / sum))(all.reduce((total, one) => total + one, 0));
  /** Means of 1 where every fourth layer is of the one kind. */
  const about = (of: number, others: number): ReadonlyArray<number> => partsOf(layers.map((layer) => (seldom(layer) ? of : others))).map((part) => part * model.layers);
  const [shares, repeats] = [about(0.25, 1.25), about(1.3, 0.9)];
  const use = (layer: number): ReadonlyArray<number> => {
    if (active === count) return Array.from({ length: count }, () => 1 / count);
    const falling = partsOf(Array.from({ length: count }, (_, expert) => (seldom(layer) ? 0.6 : 0.9) ** ((expert + layer) % count)));
    return partsOf(falling.map((share) => Math.min(share, 0.9 / active)));
  };
  const table = layers.map((layer) => ({
    activeShare: activeShare.value * shares[layer]!,
    carried: skew.points.map(({ low, activations, high }) => (seldom(layer) ? high : Math.max(low, (4 * activations - high) / 3))),
    tokenOverlap: tokenOverlap.value,
    expertRepeat: active === count ? 1 : repeat.value * repeats[layer]!,
    expertUse: [...use(layer)],
  }));
  return { ...model, activations: { ...model.activations, layers: { source: "a test", note: "", table } } };
};

const factor = (most: number): fc.Arbitrary<number> => fc.double({ min: 1 / most, max: most, noNaN: true });

/** A phone like the shipped ones, each part up to twice as fast or as slow. A recipe, so that a counterexample fits on a line. */
export interface PhoneRecipe { readonly name: string; readonly flash: number; readonly cpu: number; readonly npu: number; readonly dram: number }
export const arbPhone: fc.Arbitrary<PhoneRecipe> = fc.record({ name: fc.constantFrom("oneplus-12", "oneplus-ace-2", "oneplus-13", "galaxy-s24-ultra"), flash: factor(2), cpu: factor(2), npu: factor(2), dram: factor(1.5) });
export const phoneOf = ({ name, flash, cpu, npu, dram }: PhoneRecipe): DeviceProfile => withFasterDram(withFasterNpu(withFasterCpu(withFasterFlash(deviceNamed(name), flash), cpu), npu), dram);

/** A request by names, so that it prints short. */
export interface Recipe {
  readonly phone: PhoneRecipe;
  readonly model: string;
  readonly system: (typeof SYSTEMS)[number];
  /** Share of the FFN on flash. */
  readonly offload: number;
  readonly phase: Phase;
  readonly prompt: number;
  readonly tokens: number;
  readonly batch: number;
  readonly seed: number;
}
export const arbRecipe: fc.Arbitrary<Recipe> = fc.record({
  phone: arbPhone,
  model: fc.constantFrom("bamboo-7b", "prosparse-llama-2-7b", "turbosparse-mixtral-47b"),
  system: fc.constantFrom(...SYSTEMS),
  offload: fc.double({ min: 0, max: 0.9, noNaN: true }),
  phase: fc.constantFrom("decode" as const, "decode" as const, "prefill" as const),
  prompt: fc.integer({ min: 1, max: 600 }),
  tokens: fc.integer({ min: 1, max: 6 }),
  batch: fc.constantFrom(1, 1, 1, 2, 4),
  seed: fc.integer({ min: 0, max: 2 ** 31 }),
});
export const arbSparseRecipe: fc.Arbitrary<Recipe> = fc.tuple(arbRecipe, fc.constantFrom(...SPARSE_SYSTEMS)).map(([recipe, system]) => ({ ...recipe, system, phase: "decode" as const }));
/** The request of a recipe, on its phone unless another is given. */
export const askedOf = (recipe: Recipe, device: DeviceProfile = phoneOf(recipe.phone)): Asked => {
  const { phone: _phone, offload, model, ...rest } = recipe;
  return { ...rest, device, model: modelNamed(model), memory: { _tag: "OffloadFfn", share: offload } };
};
