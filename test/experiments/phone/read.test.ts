/** The readers of recorded runs: what is right is read, and every mistake is named with its place, all at once. The files are made up here. */
import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { describeError, type AppError } from "../../../sim/base/errors.js";
import { cellsOf, PHONE_MODELS, type PhoneCell } from "../../../experiments/validate/phone/cells.js";
import { readFolder } from "../../../experiments/validate/phone/read-folder.js";
import type { RecordedFile, Recordings } from "../../../experiments/validate/phone/recorded.js";
import { modelNamed } from "../../arb/runs.js";
import { altered, bare, FIRST, headed, HEADED, routes, state } from "./recordings.js";

const models = new Map(PHONE_MODELS.map((name) => [name, modelNamed(name)]));
const read = (...files: ReadonlyArray<RecordedFile>) => readFolder("recordings", files);
const right = <A>(result: E.Either<AppError, A>): A => {
  if (E.isLeft(result)) throw new Error(describeError(result.left));
  return result.right;
};
const told = (result: E.Either<AppError, unknown>): string => (E.isLeft(result) ? describeError(result.left) : "(read)");
const cells = (...files: ReadonlyArray<RecordedFile>): E.Either<AppError, ReadonlyArray<PhoneCell>> => {
  const recordings: E.Either<AppError, Recordings> = read(...files);
  return E.isLeft(recordings) ? recordings : cellsOf("recordings", recordings.right, models);
};

describe("rows by token", () => {
  it("are read of both kinds, with what the header says", () => {
    const { tokens } = right(read(bare("2026-07-12/gemma_stream.csv"), headed("x/run.csv", { faults: 7 }, { cacheMib: 1500, lanes: 8 })));
    expect(tokens.map(({ tokens: rows, promptTokens }) => [rows.length, promptTokens])).toEqual([[40, 12], [40, 12]]);
    expect(tokens[0]!.header).toBeNull();
    expect(tokens[0]!.tokens[0]).toEqual({ wallMs: 50, ioMs: 30, computeMs: 20, readBytes: 104857600, hitPercent: null, stallMs: 0, managementMs: null, majorFaults: null });
    expect(tokens[1]!.header).toMatchObject({ architecture: "gpt-oss", layers: 36, experts: 128, expertsUsed: 4, cacheMib: 1500, lanes: 8, overlaps: true, streams: true });
    expect(tokens[1]!.tokens[0]).toMatchObject({ wallMs: 40, managementMs: 5, majorFaults: 7, hitPercent: 41.5 });
  });

  it.each<[string, RecordedFile, RegExp]>([
    ["a row that is cut off", altered(bare("a.csv"), 5, (row) => row.slice(0, 20)), /line 5: has \d of 8 columns: the row is cut off/],
    ["a file that is cut off", altered(bare("a.csv"), 42, () => null), /line 41: should be the summary \(# summary …\): the file is cut off/],
    ["a row that is missing", altered(bare("a.csv"), 9, () => null), /line 9\.step: should be 8, got 9/],
    ["a column that is missing", altered(bare("a.csv"), 1, () => FIRST.replace(",io_ms", "")), /line 1: has columns of no version.*missing: io_ms/],
    ["a column that nobody knows", altered(bare("a.csv"), 1, () => `${FIRST},joules`), /not known: joules|missing: mgmt_ms; not known: joules/],
    ["columns in another order", altered(bare("a.csv"), 1, () => FIRST.replace("io_ms,compute_ms", "compute_ms,io_ms")), /in another order/],
    ["another version", altered(headed("a.csv"), 1, () => "# bmoe_metrics v2"), /line 1: is a version that is not known here: # bmoe_metrics v2/],
    ["a header key that nobody knows", altered(headed("a.csv"), 3, (line) => `${line} turbo=1`), /line 3\.turbo: no version that is known here has this key/],
    ["a header key that is missing", altered(headed("a.csv"), 3, (line) => line.replace(" io_threads=4", "")), /line 3\.io_threads: is missing/],
    ["reads through the page cache", altered(headed("a.csv"), 3, (line) => line.replace("o_direct=1", "o_direct=0")), /o_direct: is 0; reads through the page cache are not modelled/],
    ["reading ahead", altered(headed("a.csv"), 3, (line) => line.replace("prefetch=0", "prefetch=1")), /prefetch: is 1; reading ahead of the router is not modelled/],
    ["columns of another version under this header", altered(headed("a.csv"), 4, () => HEADED.replace(",swap_mib", "")), /with header lines; missing: swap_mib/],
    ["a word for a number", altered(bare("a.csv"), 3, (row) => row.replace("50.000", "fast")), /line 3\.wall_ms: should be a number, got fast/],
    ["parts that do not make the whole", altered(bare("a.csv"), 3, (row) => row.replace("50.000", "51.000")), /line 3\.wall_ms: is 51; compute_ms is 50\.000 with io_ms, and 20\.000 with stall_ms and mgmt_ms/],
    ["a summary of another file", altered(bare("a.csv"), 42, (line) => line.replace(/read_MiB=\S+/, "read_MiB=1.0")), /line 42\.read_MiB: is 1\.0, and the rows give 4000\.0/],
    ["nothing but header lines", { path: "a.csv", text: "# bmoe_metrics v1\n# model=x\n" }, /ends within its header lines/],
    ["a file of no kind", { path: "notes.txt", text: "hello" }, /is no recording of a kind that is known here/],
  ])("refuse %s", (_what, file, message) => {
    expect(told(read(file))).toMatch(message);
  });

  it("tell all mistakes of all files at once", () => {
    const one = altered(altered(bare("a.csv"), 3, (row) => row.replace("50.000", "fast")), 7, (row) => row.slice(0, 12));
    const message = told(read(one, altered(state("b.metrics"), 3, (line) => line.replace("floor", "ceiling")), { path: "c.bin", text: "" }));
    for (const part of [/line 3\.wall_ms/, /line 7: has \d of 8 columns/, /mem_avail_ceiling_kb: no version/, /mem_avail_floor_kb: is missing/, /c\.bin/]) expect(message).toMatch(part);
  });
});

describe("what stands beside the rows", () => {
  it("is read, prose is left alone, and a log must say what logs say", () => {
    const log = { path: "2026-07-12/gemma_stream.log", text: `﻿generation: 40 tokens, 0.050 s/token (20.000 tok/s)\nprefill: 12 tokens, 1.000 s (12.0 tok/s) | model load 1.000 s | TTFT 2.000 s\n${state("x").text}` };
    const { states } = right(read(bare("2026-07-12/gemma_stream.csv"), state("2026-07-12/gemma_stream.metrics"), log, { path: "README.md", text: "hello" }, { path: "LICENSE", text: "hello" }));
    expect(states.map(({ leastAvailable, batteryC }) => [leastAvailable, batteryC])).toEqual([[4_000_000 * 1024, 40], [4_000_000 * 1024, 40]]);
    expect(told(read(bare("a.csv"), { ...log, text: `${log.text}moe-magic: 12\n` }))).toMatch(/is nothing that a run is known to say: moe-magic: 12/);
    expect(told(read(bare("2026-07-12/gemma_stream.csv"), state("2026-07-12/gemma_stream.metrics", 1), log))).toMatch(/tells another mem_avail_floor_kb/);
  });

  it("routings are read layer by layer, and refused with rows missing, sizes that contradict, other versions", () => {
    const file = routes("t/gptoss.route.csv", "gpt-oss", "gpt-oss-120b", 2, 3);
    const [found] = right(read(bare("t/gptoss.csv"), file)).routes;
    expect(found!.routing).toMatchObject({ layers: 36, experts: 128, active: 2, tokens: 3 });
    expect(found!.resident.length).toBe(3 * 36 * 2);
    expect(told(read(bare("a.csv"), altered(file, 45, () => null)))).toMatch(/no multiple of 72 .*: the trace is cut off/);
    expect(told(read(bare("a.csv"), altered(file, 41, (row) => row.replace(/,\d+$/, ",12"))))).toMatch(/expert_bytes: should be 0 or 13219200/);
    expect(told(read(bare("a.csv"), altered(file, 1, () => "# route_trace v9")))).toMatch(/version that is not known here: # route_trace v9/);
    expect(told(read(bare("a.csv"), altered(file, 5, () => null)))).toMatch(/should have a line of sizes for each of 36 layers, has 35/);
  });

  it("replayed hit rates have every policy at every budget", () => {
    const rows = ["belady", "lru", "lfu", "random", "layer", "layerlfu"].map((policy) => `250,${policy},10.000,11.000,5.0`);
    const curve = (lines: ReadonlyArray<string>) => ({ path: "c/x-curve.csv", text: `${["budget_mib,policy,hit_pct_cum,hit_pct_decode,read_mib", ...lines].join("\n")}\n` });
    expect(right(read(bare("a.csv"), curve(rows))).curves[0]!.rows).toHaveLength(6);
    expect(told(read(bare("a.csv"), curve(rows.slice(1))))).toMatch(/budget 250: should have one row for belady, has 0/);
    expect(told(read(bare("a.csv"), curve([...rows.slice(1), "250,fifo,1,1,1"])))).toMatch(/should be one of belady/);
  });
});

describe("cells", () => {
  const roleOf = (...files: ReadonlyArray<RecordedFile>) => right(cells(...files)).map(({ role, because }) => [role, because]);
  it("take their roles from what was set and from the state of the phone", () => {
    expect(roleOf(bare("2026-07-12/gemma_stream.csv"))).toEqual([["calibration", expect.stringContaining("serial")]]);
    expect(roleOf(bare("data/2026-07-12/gemma_stream_ov.csv", { stall: 15 }))).toEqual([["check", "overlapped"]]);
    expect(roleOf(bare("2026-07-12/gemma_mmap.csv"))).toEqual([["check", "mapped into memory"]]);
    expect(roleOf(headed("x/run.csv", {}, { overlap: 0 }))).toEqual([["calibration", expect.stringContaining("serial")]]);
    expect(roleOf(headed("x/run.csv", { faults: 900 }))).toEqual([["contaminated", "900 major page faults a token"]]);
    expect(roleOf(bare("2026-07-12/gemma_stream.csv"), state("2026-07-12/gemma_stream.metrics", 1_600_000))).toEqual([["contaminated", expect.stringContaining("1.64 GB")]]);
    expect(roleOf(bare("2026-07-15-route-trace/gptoss.metrics", { stall: 15 }), routes("2026-07-15-route-trace/gptoss.route.csv", "gpt-oss", "gpt-oss-120b", 2, 3))).toEqual([["traced", expect.stringContaining("routing")]]);
  });

  it("are refused where nobody knows what was set, or a file is of another model", () => {
    expect(told(cells(bare("somewhere/unheard.csv")))).toMatch(/has no header lines .* and its name is none whose setting is known/);
    expect(told(cells(headed("x/run.csv", {}, { arch: "llama" })))).toMatch(/no model here has the architecture llama; known: gemma4, gpt-oss/);
    expect(told(cells(headed("x/run.csv", {}, { layers: 35 })))).toMatch(/is of 35 layers of 128 experts; gpt-oss-120b has 36 of 128/);
    expect(told(cells(headed("x/run.csv", { tokens: 32 })))).toMatch(/has 32 tokens; the first 32 are warm-up/);
    expect(told(cells(headed("x/run.csv"), state("x/other.metrics")))).toMatch(/has no rows by token beside it/);
    const larger = routes("t/gptoss.route.csv", "gpt-oss", "gpt-oss-120b", 4, 3, (model) => ({ ...model, stored: { ...model.stored!, layers: model.stored!.layers.map((layer) => ({ ...layer, denseBytes: layer.denseBytes + 1 })) } }));
    expect(told(cells(headed("t/gptoss.csv"), larger))).toMatch(/has other sizes than gpt-oss-120b in layers 0, 1, 2/);
  });
});
