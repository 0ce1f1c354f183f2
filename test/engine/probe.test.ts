/** This machine measured through the engine's face, in the smallest form: what comes is what the simulator reads. Needs the native module. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { E, pipe } from "../../sim/base/fp.js";
import { decode, parseJson } from "../../sim/base/decode.js";
import { describeError, exitCode } from "../../sim/base/errors.js";
import { deviceCodec } from "../../sim/domain/device.js";
import { measurementsCodec } from "../../sim/domain/measurements.js";
import { bindingPath } from "../../engine/binding.js";
import { engine, type ProbeRequest, type ProbeStep } from "../../engine/index.js";

const built = existsSync(bindingPath());
const reason = built ? "" : " (SKIPPED: the native module is absent; run npm run build:engine)";
const folder = mkdtempSync(join(tmpdir(), "neuronlab-probe-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const asking: ProbeRequest = { depth: "trial", dir: folder, scratch: null, only: null, name: "here", command: "a test" };
const probed = async (request: ProbeRequest, onStep: (step: ProbeStep) => void = () => undefined) => {
  const outcome = await engine.probe(request, { onStep })();
  if (E.isLeft(outcome) || outcome.right === null) throw new Error(E.isLeft(outcome) ? describeError(outcome.left) : "it was cancelled");
  return outcome.right;
};
const read = <A>(codec: Parameters<typeof decode<A>>[0], text: string): A => {
  const value = pipe(parseJson("the profile", text), E.chain(decode(codec, "the profile")));
  if (E.isLeft(value)) throw new Error(describeError(value.left));
  return value.right;
};

describe.skipIf(!built)(`probe${reason}`, { timeout: 120_000 }, () => {
  it("gives a profile that the simulator reads, with a source for every number and a whole curve", async () => {
    const steps: Array<ProbeStep> = [];
    const { profile, seconds } = await probed(asking, (step) => steps.push(step));
    const device = read(deviceCodec, profile);
    expect([device.name, device.npu, device.gpu, seconds > 0]).toEqual(["here", null, null, true]);
    expect(readdirSync(folder)).toEqual([]);
    expect(new Set(steps.map((step) => step.part))).toEqual(new Set(["kernels", "threads", "memory", "flash"]));
    expect(steps.every((step, i) => i === 0 || step.done >= steps[i - 1]!.done)).toBe(true);

    const { cpu, flash, dram, measurements } = device;
    for (const fact of [cpu.bandwidth, cpu.barrier, cpu.cacheInsert, dram.sustained, dram.total, flash.latency, flash.secondPhaseRatio, device.pageCache.faultCost, ...flash.random.map((point) => point.rate), ...flash.sequential.map((point) => point.rate)]) {
      expect([fact.kind, fact.source]).toEqual(["measured", expect.stringMatching(/^a test, \d{4}-\d\d-\d\dT\d\d:\d\dZ, .+ \(.+\)$/)]);
    }
    expect(cpu.clusters.map((cluster) => cluster.count.value).reduce((a, b) => a + b)).toBe(new Set(measurements!.clusters.flatMap((cluster) => cluster.cores)).size);
    const blocks = new Set(flash.random.map((point) => point.block.value));
    expect(flash.random).toHaveLength(blocks.size * new Set(flash.random.map((point) => point.range.value)).size);
    expect(new Set(flash.sequential.map((point) => point.block.value))).toEqual(blocks);
  });

  it("gives one part's tables alone", async () => {
    const { profile } = await probed({ ...asking, only: "threads" });
    const tables = read(measurementsCodec, profile);
    expect([tables.kernels, tables.products, tables.reads]).toEqual([[], [], []]);
    expect(tables.costs.map((row) => row.cost)).toEqual(expect.arrayContaining(["thread-start", "dispatch", "dispatch-parked", "barrier"]));
  });

  it("says which argument is wrong", async () => {
    const wrong = async (request: ProbeRequest) => {
      const outcome = await engine.probe(request, { onStep: () => undefined })();
      if (E.isRight(outcome)) throw new Error("it worked");
      return { code: exitCode(outcome.left), said: describeError(outcome.left) };
    };
    expect(await wrong({ ...asking, dir: join(folder, "absent") })).toEqual({ code: 2, said: expect.stringMatching(/absent: 1 mistake\n {2}dir: cannot create a scratch file: .*; name a folder that exists and that you may write to$/) });
    expect(await wrong({ ...asking, scratch: 1000 })).toEqual({ code: 2, said: expect.stringMatching(/scratch: 1000 bytes; a multiple of 2097152, above 0$/) });
    expect(await wrong({ ...asking, scratch: 2 ** 46 })).toEqual({ code: 74, said: expect.stringMatching(/cannot write .* MB into a scratch file: .*a smaller scratch file$/) });
  });

  it("ends soon after it is cancelled, with nothing left behind", async () => {
    const abort = new AbortController();
    const outcome = await engine.probe({ ...asking, depth: "full" }, { onStep: () => abort.abort(), signal: abort.signal })();
    expect(outcome).toEqual(E.right(null));
    expect(readdirSync(folder)).toEqual([]);
  });
});
