import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { decode } from "../../../sim/base/decode.js";
import { describeError } from "../../../sim/base/errors.js";
import { deviceCodec } from "../../../sim/domain/device.js";
import { kernelRow, probed, tables } from "../../fakes/probed.js";
import { edited } from "./edit.js";

const said = (raw: unknown): string => {
  const read = decode(deviceCodec, "mine.json")(raw);
  return E.isRight(read) ? "" : describeError(read.left);
};

describe("the tables of a probed device", () => {
  it("come with its facts, in base units", () => {
    const read = decode(deviceCodec, "mine.json")(probed("mine"));
    expect(E.isRight(read) && read.right.measurements?.reads[0]).toMatchObject({ block: 4096, range: 2 ** 27, rate: 0.2, cpu: 3000, latency: 90_000 });
    expect(E.isRight(read) && read.right.measurements?.costs[1]).toMatchObject({ cost: "thread-start", time: 4000, low: 2000, high: 8000 });
  });
  it("are null where a device was not probed", () => {
    const { measurements: _, ...phone } = probed("mine");
    const read = decode(deviceCodec, "mine.json")(phone);
    expect(E.isRight(read) && read.right.measurements).toBeNull();
  });
  it("are refused with the place of what is wrong", () => {
    const at = (path: ReadonlyArray<string | number>, value: unknown): string => said(edited(probed("mine"), ["measurements", ...path], value));
    expect(at(["kernels", 0, "kernel"], "denser")).toMatch(/measurements\.kernels\[0\]\.kernel: should be one of read, copy, dense.*did you mean dense\?/);
    expect(at(["kernels", 1, "low"], "17GB/s")).toContain("measurements.kernels[1].rate: should lie between the quartiles 17 and 17.6, got 16");
    expect(at(["costs", 0, "time"], "1GB")).toMatch(/measurements\.costs\[0\]\.time: has an unknown unit "GB"/);
    expect(at(["reads", 2, "rate"], "0GB/s")).toMatch(/measurements\.reads\[2\]\.rate: must be above zero/);
    expect(at(["clusters"], [])).toMatch(/measurements\.clusters: should have at least 1 entries/);
    expect(at(["kernels"], [{ ...kernelRow(1, {}), batch: 3 }])).toMatch(/measurements\.kernels\[0\]\.batch: unknown key/);
    expect(at(["kind"], "estimated")).toMatch(/measurements\.kind: should be one of measured/);
  });
  it("are the ones of the test", () => expect(said({ ...probed("mine"), measurements: tables })).toBe(""));
});
