import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { disk, fault, unsupported } from "../../sim/base/errors.js";
import { sweepProgram } from "../../cli/programs/sweep/program.js";
import { shortReason } from "../../cli/programs/sweep/reasons.js";
import type { Line, Store, StoredRun } from "../../cli/store.js";
import type { Asking, Capabilities, Outcome, RunInputs } from "../../cli/program.js";
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

  it("is told with the command that makes it again, whatever of failures was typed before", async () => {
    const first = await call([], { "fail-fast": true }, brokenAt(2));
    expect(first.stderr).toContain("1 failed; once that is mended: neuronlab sweep a.json --format json --retry-failed\n3 not made yet: neuronlab sweep a.json --format json\n");
    const second = await call(first.lines, { "retry-failed": true, store: "my stores/a.duckdb" }, brokenAt(2));
    expect(second.stderr).toContain("1 failed; once that is mended: neuronlab sweep a.json --format json --store 'my stores/a.duckdb' --retry-failed\n");
    expect((await call([], { "keep-going": true }, brokenAt(2))).stderr).toContain("mended: neuronlab sweep a.json --format json --retry-failed\n");
  });

  it("is shown with the first of its mistakes, and with the command that shows all", async () => {
    const wrong = { ...DECLARED, repetitions: 1, axes: [{ over: ["device.thermal.floor", "device.flash.latency"], as: "factor", values: [1, 1e9], whatIf: "odd" }] };
    const { stderr, lines, json } = await call([], { store: "b.duckdb" }, undefined, wrong);
    const failed = lines.find((line): line is Extract<Line, { readonly line: "run" }> => line.line === "run" && line.state === "failed")!;
    expect(failed.reason).toMatch(/^.*: \d+ mistakes?\n {2}\S+: /);
    expect(stderr).toContain(`a reason in full: neuronlab results show ${failed.key.slice(0, 8)} --store b.duckdb\n`);
    expect((json!["points"] as ReadonlyArray<{ readonly reason: string | null }>).map(({ reason }) => reason)).toEqual([null, failed.reason]);
    const world = fake({ files: { "a.json": JSON.stringify(wrong) }, store: (path) => aStore(path) });
    await execute(sweep(commandNamed("sweep"))(given({ file: "a.json" })), world.capabilities);
    const [, first] = failed.reason!.split("\n");
    expect(world.stdout().replaceAll(/\s+/g, " ")).toContain(`failed (${failed.key.slice(0, 8)}): ${shortReason(failed.reason!).replaceAll(/\s+/g, " ")}`);
    expect(shortReason(failed.reason!)).toContain(first!.trim());
  });

  it.each([
    ["a.json: 1 mistake\n  x: is missing", "a.json: x: is missing"],
    ["a.json: 3 mistakes\n  x: is missing\n  y: is odd\n  z: is even", "a.json: x: is missing (and 2 more)"],
    ["does not fit: needs 3.94GB, allowed 1.0MB; the smallest budget that would work is 3942MB, for what lies outside the FFN; parts of the run, largest first:\n  3GB  a", "does not fit: needs 3.94GB, allowed 1.0MB; the smallest budget that would work is 3942MB, for what lies outside the FFN"],
    ["does not fit: needs 4.22GB, allowed 3.22GB; the plan's parts take more than its memory; largest first:\n  3GB  a", "does not fit: needs 4.22GB, allowed 3.22GB; the plan's parts take more than its memory"],
    ["it: cannot", "it: cannot"],
  ])("%j is short %j", (reason, short) => {
    expect(shortReason(reason)).toBe(short);
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

describe("two commands that make the same sweep at once", () => {
  /** A call beside another command that finishes `theirs`, one more whenever somebody looks. */
  const beside = async (theirs: ReadonlyArray<StoredRun>, words: Readonly<Record<string, unknown>> = {}, lines: Array<Line> = []): Promise<Ended> => {
    let [looks, told] = [0, 0];
    const elsewhere = () => ({ writers: 1, runs: looks++ % 2 === 0 ? theirs.slice(told, ++told) : [] });
    const store = (path: string): Store => ({ ...aStore(path, lines), journal: () => TE.right({ append: (more) => (lines.push(...more), E.right(undefined)), elsewhere, close: TE.right(undefined) }) });
    const world = fake({ files: { "a.json": JSON.stringify(DECLARED) }, store });
    const code = await execute(sweep(commandNamed("sweep"))(given({ file: "a.json", format: "json", ...words })), world.capabilities);
    return { code, json: JSON.parse(world.stdout()) as Readonly<Record<string, unknown>>, stderr: world.stderr(), ran: world.ran, lines };
  };
  const runsIn = (lines: ReadonlyArray<Line>): ReadonlyArray<StoredRun> => lines.flatMap((line) => (line.line === "run" ? [line] : []));

  it("do not begin what the other has finished, and both tell the same", async () => {
    const alone = await call([]);
    const theirs = runsIn(alone.lines);
    for (const finished of [theirs, [...theirs].reverse(), theirs.slice(2, 5)]) {
      const ended = await beside(finished);
      const made = runsIn(ended.lines).map(({ key }) => key);
      expect([ended.code, ended.json, ended.ran.length]).toEqual([0, alone.json, made.length]);
      expect(made.length).toBeLessThan(6);
      expect(ended.stderr).toContain(`${made.length} runs made in 0.0 s, ${6 - made.length} were known`);
      // Each place stands in this one's journal too, so that it is whole when the other's is gone.
      expect(new Set(ended.lines.flatMap((line) => (line.line === "member" ? [`${line.point}/${line.repetition}/${line.run}`] : []))).size).toBe(6);
    }
  });

  it("make no run twice by themselves, and take over no failure", async () => {
    const failed = runsIn((await call([], {}, brokenAt(2))).lines).filter(({ state }) => state === "failed");
    const ended = await beside(failed);
    expect([ended.code, ended.ran.length, runsIn(ended.lines).every(({ state }) => state === "done")]).toEqual([0, 6, true]);
    expect(new Set(runsIn(ended.lines).map(({ key }) => key)).size).toBe(6);
  });

  it("of failed ones that are to be made again, take what the other has made of them", async () => {
    const before = await call([], {}, brokenAt(2));
    const mended = runsIn((await call([])).lines).filter(({ request }) => (request as { readonly batch: number }).batch === 2);
    expect((await beside(mended, { "retry-failed": true }, before.lines)).ran.length).toBeLessThan(2);
  });
});

describe("the store", () => {
  it("that takes no more ends the sweep as a fault of the disk", async () => {
    const lines: Array<Line> = [];
    const full = aStore("x", lines);
    const world = fake({ files: { "a.json": JSON.stringify(DECLARED) }, store: () => ({ ...full, journal: () => TE.right({ append: (more) => (lines.length > 6 ? E.left(disk("x", "the disk is full")) : (lines.push(...more), E.right(undefined))), elsewhere: () => ({ writers: 0, runs: [] }), close: TE.right(undefined) }) }) });
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

describe("a design of sensitivity", () => {
  const range = { from: 0.5, to: 2 };
  const MORRIS = { ...DECLARED, repetitions: 1, axes: [{ over: "batch", values: [1, 3] }, { sensitivity: "morris", trajectories: 3, axes: [{ over: "prompt", range: { from: 1, to: 100 } }, { name: "latency", over: "device.flash.latency", as: "factor", range }] }], picture: { kind: "indices", title: "P", metric: "tokensPerSec" } };
  /** Latency of a pass: ten milliseconds for each token of the prompt and nothing else. */
  const linear = (inputs: RunInputs): Outcome => E.right(aRecord(inputs.request, { tokensPerSec: inputs.request.prompt / 10 }));
  interface Effects { readonly sensitivity: ReadonlyArray<{ readonly group: object; readonly holes: number; readonly axes: ReadonlyArray<{ readonly axis: string; readonly muStar: number; readonly effects: number; readonly missing: number }> }> }

  it("finds what each axis is worth, for each value of the axes beside it", async () => {
    const { sensitivity } = (await call([], {}, linear, MORRIS)).json as unknown as Effects;
    expect(sensitivity.map(({ group }) => group)).toEqual([{ batch: 1 }, { batch: 3 }]);
    for (const { holes, axes } of sensitivity) {
      expect(holes).toBe(0);
      expect(axes.map(({ axis }) => axis)).toEqual(["prompt", "latency"]);
      // Ninety-nine tokens over the whole axis; a step of two thirds is whole tokens.
      expect(axes[0]!.muStar).toBeCloseTo(9.9, 10);
      expect(axes[1]!.muStar).toBe(0);
    }
  });

  it("tells its holes, and is the same for runs that were known before", async () => {
    const first = await call([], {}, (inputs) => (inputs.request.batch === 3 && inputs.request.prompt > 50 ? E.left(unsupported("it", "cannot")) : linear(inputs)), MORRIS);
    const [whole, holed] = (first.json as unknown as Effects).sensitivity;
    expect(whole!.holes).toBe(0);
    expect(holed!.holes).toBeGreaterThan(0);
    expect(holed!.axes[0]).toMatchObject({ effects: 0, missing: 3, muStar: null });
    expect((await call(first.lines, {}, linear, MORRIS)).json).toEqual(first.json);
  });

  it("is one of its kind, with axes that can have an effect and a picture that it has", async () => {
    const told = async (more: object): Promise<string> => (await call([], {}, linear, { ...DECLARED, ...more })).stderr;
    expect(await told({ axes: [MORRIS.axes[1]!, { ...MORRIS.axes[1], axes: [{ over: "batch", values: [1, 2] }] }] })).toContain("have 2 designs of sensitivity");
    expect(await told({ axes: [{ sensitivity: "morris", levels: 5, axes: [{ over: "batch", values: [1] }] }] })).toMatch(/axes\[0\]\.levels: should be even[^]*axes\[0\]\.axes\[0\]\.values: has one value/);
    expect(await told({ axes: [{ sensitivity: "sobel", axes: [] }] })).toContain("should say sensitivity: morris or sobol");
    expect(await told({ picture: MORRIS.picture })).toContain("picture.kind: shows a design of sensitivity, and the axes have none");
  });
});

describe("claims and uncertain facts", () => {
  const CLAIMED = { ...DECLARED, repetitions: 1, axes: [{ over: "batch", values: [1, 2] }], claims: [{ claim: "two are slower than one", holds: ["<", { at: { batch: 2 } }, { at: { batch: 1 } }] }] };
  interface Judged { readonly stability: { readonly draws: number; readonly facts: ReadonlyArray<{ readonly fact: string; readonly law: string }>; readonly claims: ReadonlyArray<{ readonly asProfiled: boolean; readonly held: { readonly hits: number; readonly of: number } | null }> } }

  it("a claim is judged by the runs of the sweep alone, where nothing is uncertain", async () => {
    const ended = await call([], {}, (inputs) => E.right(aRecord(inputs.request, { tokensPerSec: 10 / inputs.request.batch })), CLAIMED);
    expect(ended.ran).toHaveLength(2);
    expect((ended.json as unknown as Judged).stability).toMatchObject({ draws: 0, claims: [{ asProfiled: true, held: null }] });
    expect((await call([], {}, undefined, { ...CLAIMED, claims: [{ claim: "?", holds: [">", { at: { batch: 3 } }, 1] }] })).stderr).toContain('claims[0].holds: no point is at {"batch":3}');
  });

  it("--uncertain runs every point under every draw: the same facts and the same seed for all points of a draw", async () => {
    const ended = await call([], { uncertain: "5" }, undefined, CLAIMED);
    expect(ended.ran).toHaveLength(2 * 6);
    const of = (batch: number) => ended.ran.filter(({ request }) => request.batch === batch);
    expect(of(1).map(({ request }) => request.seed)).toEqual(of(2).map(({ request }) => request.seed));
    expect(new Set(of(1).map(({ request }) => request.seed)).size).toBe(6);
    expect(of(1).map(({ device }) => device)).toEqual(of(2).map(({ device }) => device));
    expect(new Set(of(1).map(({ device }) => device.flash.latency.value)).size).toBe(6);
    const { stability } = ended.json as unknown as Judged;
    expect(stability).toMatchObject({ draws: 5, claims: [{ asProfiled: true, held: { of: 5 } }] });
    expect(stability.facts.some(({ fact, law }) => fact === "oneplus-12: flash.latency" && law === "uniform")).toBe(true);
    // Draw 0 is the profile as it is.
    expect(of(1)[0]!.device).toEqual((await call([], {}, undefined, CLAIMED)).ran[0]!.device);
    // What is kept says by which laws, and another call finds all of it known.
    expect(ended.lines.find((line) => line.line === "sweep")).toMatchObject({ declaration: { uncertain: { draws: 5, facts: expect.any(Array), accepted: expect.any(Array) } } });
    expect((await call(ended.lines, { uncertain: "5" }, undefined, CLAIMED)).ran).toEqual([]);
    // More draws take those that were made: draws do not depend on how many there are.
    expect((await call(ended.lines, { uncertain: "8" }, undefined, CLAIMED)).ran).toHaveLength(2 * 3);
  });

  it("calibrated facts move by the interval of their fit, where that came along", async () => {
    const fit = { schema: "neuronlab/calibration@1", constants: [{ id: "second-phase", value: 0.6, from: 0.54, to: 0.66, rise10: 0.1, atLimit: false, unit: "", what: "x" }], points: [] };
    const world = fake({ files: { "a.json": JSON.stringify({ ...CLAIMED, uncertain: { draws: 2 } }), "/home/results/paper/calibration.json": JSON.stringify(fit) }, store: (path) => aStore(path) });
    expect(await execute(sweep(commandNamed("sweep"))(given({ file: "a.json", format: "json" })), world.capabilities)).toBe(0);
    expect((JSON.parse(world.stdout()) as Judged).stability.facts[0]).toEqual({ fact: "second-phase", moves: [{ profile: "device", name: "oneplus-12", paths: ["flash.secondPhaseRatio"] }], law: "log-normal", low: 0.9, high: 1.1, from: "calibrated, 95 % interval of the fit" });
  });

  it("are not mixed with a design, and draws are so many", async () => {
    expect((await call([], { uncertain: "x" }, undefined, CLAIMED)).stderr).toContain("--uncertain: should be how many draws");
    expect((await call([], {}, undefined, { ...DECLARED, uncertain: { draws: 3 }, axes: [{ sensitivity: "morris", axes: [{ over: "batch", values: [1, 2] }] }] })).stderr).toContain("uncertain: moves facts, and so does a design of sensitivity");
    expect((await call([], {}, undefined, { ...DECLARED, uncertain: { draws: 3 }, axes: [{ name: "draw", over: "batch", values: [1, 2] }] })).stderr).toContain("the name draw is that of the draws");
  });
});

describe("a live page", () => {
  it("is refused where there is nothing to serve, and where nothing runs", async () => {
    expect(await call([], { live: "" })).toMatchObject({ code: 3, ran: [] });
    expect((await call([], { live: "" })).stderr).toContain("npm run site builds it");
    expect((await call([], { live: "", "dry-run": true })).stderr).toContain("--live: has nothing to show in a dry run");
    expect((await call([], { live: "a.json" })).stderr).toContain("--live: should be a port between 1 and 65535, or nothing for any that is free");
  });

  it("has what is known at every moment, and the end of it", async () => {
    const served: Array<Asking> = [];
    const world = fake({ files: { "a.json": JSON.stringify(DECLARED), "/home/dist/site/index.html": "<p>" }, store: (path) => aStore(path), simulate: (inputs) => {
      seen.push(ask("progress.json"));
      return E.right(aRecord(inputs.request));
    } });
    const seen: Array<Promise<unknown>> = [];
    const ask = async (rest: string): Promise<unknown> => {
      const made = await served[0]!.json(rest)();
      return E.isRight(made) ? made.right : made.left;
    };
    const capabilities: Capabilities = { ...world.capabilities, serve: (mounts) => {
      served.push(...mounts.filter((one) => "json" in one));
      return TE.right({ url: "http://127.0.0.1:4/", until: () => TE.right(undefined) });
    } };
    expect(await execute(sweep(commandNamed("sweep"))(given({ file: "a.json", format: "json", live: "4" })), capabilities)).toBe(0);
    expect(world.stderr()).toContain("live: http://127.0.0.1:4/sweeps.html");
    expect((await Promise.all(seen)).map((one) => (one as { readonly done: number }).done)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await ask("progress.json")).toMatchObject({ ended: true, done: 6, wanted: 6, failed: 0, secondsLeft: 0 });
    const page = (await ask("live.json")) as { readonly points: { readonly rows: ReadonlyArray<unknown> }; readonly counts: ReadonlyArray<string> };
    expect([page.points.rows.length, page.counts[0]]).toEqual([3, "3 points, 6 runs: 6 done"]);
    expect(await ask("index.json")).toMatchObject({ live: true });
    expect(await ask("other.json")).toBeNull();
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

describe("a stopping rule", () => {
  it("that begins with more repetitions than the file says is told, in a dry run and in the run", async () => {
    const stop = { metric: "tokensPerSec", halfWidth: 1, atMost: 9 };
    const told = async (more: object, words: Readonly<Record<string, unknown>> = {}) => {
      const world = fake({ files: { "a.json": JSON.stringify({ ...DECLARED, stop, ...more }) }, simulate: ({ request }) => E.right(aRecord(request, { tokensPerSec: 10 })), store: (path) => aStore(path) });
      expect(await execute(sweep(commandNamed("sweep"))(given({ file: "a.json", ...words })), world.capabilities)).toBe(0);
      return [/^each point begins with .*$/m.exec(`${world.stdout()}${world.stderr()}`)?.[0] ?? null, world.ran.length] as const;
    };
    const raised = "each point begins with 3 runs and not with 2: a stopping rule needs an interval";
    expect(await told({})).toEqual([raised, 9]);
    expect((await told({}, { "dry-run": true }))[0]).toBe(raised);
    expect((await told({ repetitions: undefined }))[0]).toBe("each point begins with 3 runs and not with 1: a stopping rule needs an interval");
    expect(await told({ repetitions: 3 })).toEqual([null, 9]);
    expect(await told({ repetitions: 4 })).toEqual([null, 12]);
    expect(await told({ stop: { ...stop, atMost: 2 } })).toEqual([null, 6]);
  });
});

describe("a wrong declaration", () => {
  it("is told with all its mistakes, and nothing runs", async () => {
    const ended = await call([], {}, undefined, { ...DECLARED, repetitions: 0, metrics: ["speed"] });
    expect([ended.code, ended.ran.length, ended.json]).toEqual([2, 0, null]);
    expect(ended.stderr).toMatch(/a\.json: 2 mistakes\n {2}repetitions: .*\n {2}metrics\[0\]: /);
  });

  it("is told with its unknown names beside its other mistakes, wherever it names them", async () => {
    const wrong = { ...DECLARED, repetitions: 0, base: { device: "oneplus-21", plan: "none.json", tokens: 4 }, axes: [{ zip: [{ over: "model", values: ["bamboo-8b", "bamboo-7b", 7] }, { over: "batch", values: [1, 2, 3] }] }, { sample: "sobol", points: 4, axes: [{ over: ["system"], values: ["powerinfer-3", "powerinfer-2"] }] }] };
    const ended = await call([], {}, undefined, wrong);
    expect([ended.code, ended.ran.length]).toEqual([2, 0]);
    expect(ended.stderr).toMatch(/^a\.json: 2 mistakes\n {2}axes\[0\]\.zip\[0\]\.values\[2\]: [^]*\n {2}repetitions: /);
    for (const told of ["unknown device: oneplus-21; did you mean", "unknown model: bamboo-8b; did you mean bamboo-7b?", "unknown system: powerinfer-3; did you mean powerinfer-2?", "none.json: 1 mistake"]) expect(ended.stderr).toContain(told);
    // Words of the engine are files.
    expect((await call([], {}, undefined, { ...DECLARED, program: "engine", base: { model: "m.gguf" }, repetitions: 0 })).stderr).not.toContain("unknown model");
  });

  it("is told at once of facts that may not be moved and of claims about no point", async () => {
    const wrong = { ...DECLARED, axes: [{ over: "device.flash.random[].rate", as: "factor", values: [2, 3] }], claims: [{ claim: "?", holds: [">", { at: { rate: 4 } }, 1] }] };
    expect((await call([], {}, undefined, wrong)).stderr).toMatch(/a\.json: 2 mistakes\n {2}axes: device\.flash\.random\[\]\.rate: [^]*add whatIf[^]*\n {2}claims\[0\]\.holds: no point is at/);
  });

  it("that names unknown profiles, or moves what is known, is refused before anything runs", async () => {
    expect((await call([], {}, undefined, { ...DECLARED, base: { device: "oneplus-21" } })).stderr).toContain("unknown device: oneplus-21");
    expect((await call([], {}, undefined, { ...DECLARED, axes: [{ over: "device.flash.random[].rate", as: "factor", values: [2] }] })).stderr).toContain("add whatIf");
    expect((await call([], {}, undefined, { ...DECLARED, where: [["<", "$batch", 0]] })).stderr).toContain("rules out all of the 3 points");
  });
});
