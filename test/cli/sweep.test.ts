import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { disk, fault, unsupported } from "../../sim/base/errors.js";
import { sweepProgram } from "../../cli/programs/sweep/program.js";
import type { Line } from "../../cli/store.js";
import type { Outcome, RunInputs } from "../../cli/program.js";
import { execute } from "../../cli/run.js";
import { aRecord, aStore, commandNamed, fake, given } from "../fakes/capabilities.js";

const DECLARED = { schema: "neuronlab/sweep@1", id: "a", title: "A sweep", base: { model: "bamboo-7b", offload: "50%", tokens: 4 }, axes: [{ over: "batch", values: [1, 2, 3] }], repetitions: 2 };
const sweep = sweepProgram(() => []);

interface Ended { readonly code: number; readonly json: Readonly<Record<string, unknown>> | null; readonly stderr: string; readonly ran: ReadonlyArray<RunInputs>; readonly lines: Array<Line> }

/** A call of the command over a store of `lines`, which it appends to. */
const call = async (lines: Array<Line>, words: Readonly<Record<string, unknown>> = {}, simulate: (inputs: RunInputs) => Outcome = (inputs) => E.right(aRecord(inputs.request)), declared: object = DECLARED): Promise<Ended> => {
  const world = fake({ files: { "a.json": JSON.stringify(declared) }, simulate, store: (path) => aStore(path, lines) });
  const code = await execute(sweep(commandNamed("sweep"))(given({ file: "a.json", format: "json", ...words })), world.capabilities);
  return { code, json: world.stdout() === "" ? null : (JSON.parse(world.stdout()) as Readonly<Record<string, unknown>>), stderr: world.stderr(), ran: world.ran, lines };
};
const batches = (ended: Ended): ReadonlyArray<number> => ended.ran.map(({ request }) => request.batch);
const brokenAt = (batch: number) => (inputs: RunInputs): Outcome => (inputs.request.batch === batch ? E.left(fault("broken")) : E.right(aRecord(inputs.request)));

describe("a sweep", () => {
  it("makes every run once, with a seed of its own for each point and repetition", async () => {
    const ended = await call([]);
    expect([ended.code, batches(ended)]).toEqual([0, [1, 1, 2, 2, 3, 3]]);
    expect(new Set(ended.ran.map(({ request }) => request.seed)).size).toBe(6);
  });

  it("makes none that is known, and answers the same", async () => {
    const first = await call([]);
    const again = await call(first.lines);
    expect([again.code, again.ran.length, again.json]).toEqual([0, 0, first.json]);
  });

  it("goes on where it was stopped, and ends as if it had not been", async () => {
    const whole = await call([]);
    const runs = whole.lines.flatMap((line, i) => (line.line === "run" ? [i] : []));
    for (const until of runs) {
      const resumed = await call(whole.lines.slice(0, until));
      expect(resumed.json, `stopped before line ${until}`).toEqual(whole.json);
      expect(resumed.ran.length).toBe(6 - runs.indexOf(until));
    }
  });

  it("shares runs with another sweep that asks for the same", async () => {
    const first = await call([]);
    const other = await call(first.lines, {}, undefined, { ...DECLARED, id: "b", title: "Another", axes: [{ over: "batch", values: [2, 5] }] });
    expect(batches(other)).toEqual([5, 5]);
  });

  it("another seed, another number of tokens or another profile is another run", async () => {
    const { lines } = await call([]);
    for (const more of [{ seed: 2 }, { base: { ...DECLARED.base, tokens: 5 } }, { base: { ...DECLARED.base, device: "oneplus-13" } }, { axes: [...DECLARED.axes, { over: "device.flash.latency", as: "factor", values: [1.1] }] }])
      expect((await call([...lines], {}, undefined, { ...DECLARED, ...more })).ran.length, JSON.stringify(more)).toBe(6);
  });

  it("keeps a refusal as an answer, which is not asked for again", async () => {
    const refusing = (inputs: RunInputs): Outcome => (inputs.request.batch === 2 ? E.left(unsupported("it", "cannot")) : E.right(aRecord(inputs.request)));
    const ended = await call([], {}, refusing);
    expect([ended.code, (await call(ended.lines, { "retry-failed": true })).ran.length]).toEqual([0, 0]);
    expect(ended.lines.flatMap((line) => (line.line === "run" && line.state !== "done" ? [[line.state, line.reason]] : []))).toEqual([["refused", "it: cannot"], ["refused", "it: cannot"]]);
  });
});

describe("a run that fails", () => {
  it("is kept with its reason while the others go on, and the exit code says so", async () => {
    const ended = await call([], {}, brokenAt(2));
    expect([ended.code, batches(ended)]).toEqual([70, [1, 1, 2, 2, 3, 3]]);
    expect(ended.stderr).toContain("2 failed; once that is mended: neuronlab sweep a.json");
    expect((await call([...ended.lines])).ran).toEqual([]);
  });

  it("is made again alone with --retry-failed", async () => {
    const ended = await call([], {}, brokenAt(2));
    const mended = await call(ended.lines.filter((line) => !(line.line === "run" && line.request !== null && (line.request as { readonly batch: number }).batch === 3)), { "retry-failed": true });
    expect(batches(mended)).toEqual([2, 2]);
    expect(mended.json).toMatchObject({ left: 2 });
  });

  it("is the last one with --fail-fast", async () => {
    expect(batches(await call([], { "fail-fast": true }, brokenAt(2)))).toEqual([1, 1, 2]);
    expect((await call([], { "fail-fast": true, "keep-going": true })).stderr).toContain("--keep-going: and --fail-fast contradict each other");
  });

  it("what cannot be put into a request is kept as failed, with what is wrong in it", async () => {
    const ended = await call([], {}, undefined, { ...DECLARED, axes: [{ over: "device.thermal.floor", as: "factor", values: [1, 9], whatIf: "cold" }] });
    expect([ended.code, ended.ran.length]).toEqual([2, 2]);
    expect(ended.lines.filter((line) => line.line === "run" && line.state === "failed")).toHaveLength(2);
  });
});

describe("the store", () => {
  it("that takes no more ends the sweep as a fault of the disk", async () => {
    const lines: Array<Line> = [];
    const full = aStore("x", lines);
    const world = fake({ files: { "a.json": JSON.stringify(DECLARED) }, store: () => ({ ...full, journal: () => TE.right({ append: (more) => (lines.length > 6 ? E.left(disk("x", "the disk is full")) : (lines.push(...more), E.right(undefined))), close: TE.right(undefined) }) }) });
    expect(await execute(sweep(commandNamed("sweep"))(given({ file: "a.json" })), world.capabilities)).toBe(74);
    expect([world.stderr(), world.stdout()]).toEqual(["x: the disk is full\n", ""]);
    const resumed = await call(lines);
    expect(resumed.json).toEqual((await call([])).json);
  });

  it("every run leads to a manifest, and to the documents that it was made from", async () => {
    const { lines } = await call([]);
    const of = (kind: Line["line"]) => lines.filter((line) => line.line === kind);
    const manifests = of("manifest").map((line) => (line as { readonly id: string }).id);
    const documents = of("document").map((line) => (line as { readonly hash: string }).hash);
    for (const line of lines) if (line.line === "run") expect([manifests.includes(line.manifest), ...[line.device, line.model, line.system, line.plan].map((hash) => documents.includes(hash!))], line.key).toEqual([true, true, true, true, true]);
    expect(new Set(documents).size).toBe(documents.length);
  });
});

describe("a dry run", () => {
  it("keeps nothing, counts what is known, and estimates the rest by timing a few", async () => {
    const ended = await call([], { "dry-run": true, workers: "2" });
    expect([ended.code, ended.lines]).toEqual([0, []]);
    expect(ended.json).toMatchObject({ points: 3, runs: 6, known: 0, secondsPerRun: 0.25, estimatedSeconds: 0.75, workers: 2 });
    const { lines } = await call([]);
    expect((await call(lines, { "dry-run": true })).json).toMatchObject({ runs: 6, known: 6, estimatedSeconds: 0 });
  });
});

describe("a wrong declaration", () => {
  it("is told with all its mistakes, and nothing runs", async () => {
    const ended = await call([], {}, undefined, { ...DECLARED, repetitions: 0, metrics: ["speed"] });
    expect([ended.code, ended.ran.length, ended.json]).toEqual([2, 0, null]);
    expect(ended.stderr).toMatch(/a\.json: 2 mistakes\n {2}repetitions: .*\n {2}metrics\[0\]: /);
  });

  it("that names unknown profiles, or moves what is known, is refused before anything runs", async () => {
    expect((await call([], {}, undefined, { ...DECLARED, base: { device: "oneplus-21" } })).stderr).toContain("unknown device: oneplus-21");
    expect((await call([], {}, undefined, { ...DECLARED, axes: [{ over: "device.flash.random[].rate", as: "factor", values: [2] }] })).stderr).toContain("add whatIf");
    expect((await call([], {}, undefined, { ...DECLARED, where: [["<", "$batch", 0]] })).stderr).toContain("rules out all of the 3 points");
  });
});
