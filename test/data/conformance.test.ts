/** What every profile that ships must keep, beyond what its decoder asks. */
import { describe, expect, it } from "vitest";
import { KINDS } from "../../sim/domain/fact.js";
import { factsOf, filesIn, loadDevice, loadModel, loadSystem, rawOf } from "./profiles.js";

const FOLDERS = [
  { folder: "devices", load: loadDevice },
  { folder: "models", load: loadModel },
  { folder: "systems", load: loadSystem },
] as const;

const paths = FOLDERS.flatMap(({ folder, load }) => filesIn(folder).map((file) => ({ path: `${folder}/${file}`, load: (path: string): { readonly name: string } => load(path) })));
const devices = filesIn("devices").map((file) => ({ file: `devices/${file}` }));
const models = filesIn("models").map((file) => ({ file: `models/${file}` }));

/** Numbers of a model that its `shapesSource` gives, all of them together. */
const SHAPES = ["layers", "hidden", "ffn", "heads", "kvHeads", "vocabulary", "experts.count", "experts.active"];

/** Where numbers stand that are no value of a fact. */
const bareNumbers = (raw: unknown, path = ""): ReadonlyArray<string> => {
  if (typeof raw === "number") return [path];
  if (typeof raw !== "object" || raw === null || factsOf(raw)[0]?.path === "") return [];
  return Object.entries(raw).flatMap(([key, value]) => bareNumbers(value, path === "" ? key : `${path}.${key}`));
};

describe.each(paths)("$path", ({ path, load }) => {
  it("decodes, and its name is its file's name", () => {
    expect(`${load(path).name}.json`).toBe(path.split("/")[1]);
  });

  it("says of every number that is not printed or measured how it was come by", () => {
    const silent = factsOf(rawOf(path)).filter((fact) => !["printed", "measured"].includes(fact.kind) && fact.note.trim() === "");
    expect(silent.map((fact) => `${fact.path} (${fact.kind})`)).toEqual([]);
  });

  it("names a source outside this project for every printed or measured number, or a probe with its date", () => {
    const isProbe = (source: string): boolean => /^neuronlab(?:-measure| probe)\b(?!.*--trial).*, \d{4}-\d\d-\d\dT\d\d:\d\dZ, /.test(source);
    const vague = factsOf(rawOf(path)).filter((fact) => ["printed", "measured"].includes(fact.kind) && fact.source.startsWith("neuronlab") && !isProbe(fact.source));
    expect(vague.map((fact) => `${fact.path}: ${fact.source}`)).toEqual([]);
  });

  it("never quotes memory as printed", () => {
    const remembered = factsOf(rawOf(path)).filter((fact) => fact.kind !== "estimated" && /from memory/.test(`${fact.source} ${fact.note}`));
    expect(remembered.map((fact) => fact.path)).toEqual([]);
  });

  it("has no number without its provenance: a fact, or a list or shapes with one source for all", () => {
    const bare = bareNumbers(rawOf(path)).filter((at) => !at.startsWith("activations.skew.points") && !at.startsWith("experts.reuse.ranks") && !at.startsWith("stored.layers") && !at.startsWith("measurements.") && !(path.startsWith("models/") && SHAPES.includes(at)));
    expect(bare).toEqual([]);
  });

  it("uses known kinds only", () => {
    expect(factsOf(rawOf(path)).every((fact) => KINDS.includes(fact.kind))).toBe(true);
  });

});

describe.each([
  { path: "results/host/profile.json", load: loadDevice },
  { path: "results/host/validate/system.json", load: loadSystem },
  { path: "results/phone/system.json", load: loadSystem },
] as const)("$path, made by a command", ({ path, load }) => {
  it("is one that the command line takes", () => {
    expect(load(path).name).toMatch(/^[a-z0-9-]+$/);
  });
});

describe.each([...devices, ...models])("$file", ({ file }) => {
  it("says of every calibrated number that a command fits it", () => {
    const adrift = factsOf(rawOf(file)).filter((fact) => fact.kind === "calibrated" && !/calibrat|fitted/.test(`${fact.source} ${fact.note}`));
    expect(adrift.map((fact) => fact.path)).toEqual([]);
  });
});

describe.each(devices)("$file", ({ file }) => {
  const device = loadDevice(file);
  const { cpu, npu, gpu, dram, flash } = device;

  it("keeps every agent's bandwidth under what DRAM sustains, and that under theory", () => {
    expect(dram.sustained.value).toBeLessThanOrEqual(dram.theory.value);
    expect(cpu.bandwidth.value).toBeLessThanOrEqual(dram.sustained.value);
    if (npu !== null) {
      expect(npu.bulkBandwidth.value).toBeLessThanOrEqual(dram.sustained.value);
      expect(npu.matvecBandwidth.value).toBeLessThanOrEqual(npu.bulkBandwidth.value);
    }
    if (gpu !== null) expect(gpu.bandwidth.value * gpu.duty.value).toBeLessThanOrEqual(dram.sustained.value);
  });

  it("gives no core more than the CPU has, and no sparse kernel more than the dense one", () => {
    for (const cluster of cpu.clusters) {
      expect(cluster.denseBandwidth.value).toBeLessThanOrEqual(cpu.bandwidth.value);
      expect(cluster.sparseBandwidth.value).toBeLessThanOrEqual(cluster.denseBandwidth.value);
    }
  });

  it("has cores enough to saturate the CPU's bandwidth", () => {
    const all = cpu.clusters.reduce((sum, cluster) => sum + cluster.count.value * cluster.denseBandwidth.value, 0);
    expect(all).toBeGreaterThanOrEqual(cpu.bandwidth.value);
  });

  it("lists each cluster kind once, the best core for reads first", () => {
    const kinds = cpu.clusters.map((cluster) => cluster.kind);
    expect(new Set(kinds).size).toBe(kinds.length);
    const rates = cpu.clusters.map((cluster) => cluster.flashRandom4k.value);
    expect([...rates].sort((a, b) => b - a)).toEqual(rates);
  });

  it("gives random reads as a full grid, sorted by block and then by range", () => {
    const key = flash.random.map((point) => [point.block.value, point.range.value] as const);
    const blocks = [...new Set(key.map(([block]) => block))];
    const ranges = [...new Set(key.map(([, range]) => range))].sort((a, b) => a - b);
    expect(key).toEqual([...blocks].sort((a, b) => a - b).flatMap((block) => ranges.map((range) => [block, range])));
  });

  it("reads a wider range no faster, and a larger range effect never comes with a larger block", () => {
    const ranges = [...new Set(flash.random.map((point) => point.range.value))];
    const column = (range: number): ReadonlyArray<number> => flash.random.filter((point) => point.range.value === range).map((point) => point.rate.value);
    const losses = ranges.slice(1).map((range) => column(range).map((rate, i) => rate / column(ranges[0]!)[i]!));
    for (const loss of losses) {
      expect(loss.every((ratio) => ratio <= 1 + 1e-9)).toBe(true);
      expect(loss.every((ratio, i) => i === 0 || ratio >= loss[i - 1]! - 1e-3)).toBe(true);
    }
  });

  const at = (block: number, range: number): number | undefined => flash.random.find((point) => point.block.value === block && point.range.value === range)?.rate.value;

  it.skipIf(at(8192, 128e6) === undefined)("reads no 8 KiB block over 128 MB faster than two blocks of 4 KiB, as the paper found", () => {
    expect(at(8192, 128e6)).toBeLessThanOrEqual(at(4096, 128e6)!);
  });

  it("reads large blocks in sequence no slower than at random", () => {
    const last = flash.sequential.at(-1)!;
    for (const point of flash.random) if (point.block.value === last.block.value) expect(point.rate.value).toBeLessThanOrEqual(last.rate.value);
  });

  it("agrees with its flash table on what the best core reads", () => {
    const small = flash.random.filter((point) => point.block.value === 4096);
    const best = Math.max(...cpu.clusters.map((cluster) => cluster.flashRandom4k.value));
    expect(best / Math.max(...small.map((point) => point.rate.value))).toBeCloseTo(1, 3);
  });
});

describe.each(models)("$file", ({ file }) => {
  const model = loadModel(file);
  const points = model.activations.skew.points;

  it("has a skew curve from nothing to everything that flattens as it goes", () => {
    expect(points[0]).toEqual({ neurons: 0, activations: 0, low: 0, high: 0 });
    expect(points.at(-1)).toEqual({ neurons: 1, activations: 1, low: 1, high: 1 });
    const slopes = points.slice(1).map((point, i) => (point.activations - points[i]!.activations) / (point.neurons - points[i]!.neurons));
    expect(slopes.every((slope, i) => i === 0 || slope <= slopes[i - 1]! + 1e-9)).toBe(true);
  });

  it("lets no neuron fire more than once a token", () => {
    const steepest = points[1]!.activations / points[1]!.neurons;
    expect(steepest * model.activations.activeShare.value).toBeLessThanOrEqual(1);
  });

  it("counts every expert used when there is one", () => {
    if (model.experts.count === 1) expect(model.experts.repeat.value).toBe(1);
    else expect(model.experts.repeat.value).toBeGreaterThanOrEqual(model.experts.active / model.experts.count);
  });

  it("shares the constants that are one over all models", () => {
    const bamboo = loadModel("models/bamboo-7b.json").activations;
    expect(model.activations.tokenOverlap).toEqual(bamboo.tokenOverlap);
    expect(model.activations.tokenVariation).toEqual(bamboo.tokenVariation);
  });
});
