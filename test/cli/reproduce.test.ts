import { canonical } from "../../sim/base/canonical.js";
import { describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { stuck, unsupported } from "../../sim/base/errors.js";
import type { RunRequest } from "../../sim/domain/run.js";
import type { Case, Experiment, ResultPoint } from "../../experiments/experiment.js";
import { differences, reproduceProgram, type Laboratory } from "../../cli/programs/reproduce.js";
import { execute } from "../../cli/run.js";
import { aRecord, commandNamed, fake, given } from "../fakes/capabilities.js";

const request = (batch: number): RunRequest => ({ device: "oneplus-12", model: "bamboo-7b", system: "powerinfer-2", memory: { _tag: "All" }, phase: "decode", prompt: 64, tokens: 8, batch, seed: 1, fidelity: "cluster" });
const one = (batch: number): Case => ({ key: `batch-${batch}`, request: request(batch) });
const experiment = (id: string, cases: ReadonlyArray<Case>): Experiment => ({ id, paper: `Figure ${id}`, title: id, question: "?", cases, points: [], claims: [], chart: { panels: [] } });

const laboratory: Laboratory = {
  experiments: [experiment("f10", [one(1), one(2)]), experiment("t5", [one(2), one(3)])],
  evaluate: ({ id, cases }, lab) => ({
    points: cases.map(({ key }): ResultPoint => {
      const simulated = lab.run(key)?.tokensPerSec ?? null;
      return { id: `${id}/${key}`, panel: "", series: "s", x: key, unit: "tokens/s", reported: 10, printed: 0.05, simulated, signedError: simulated === null ? null : (simulated - 10) / 10, withinPrint: false, role: "check", note: lab.reason?.(key) ?? "" };
    }),
    curves: [],
    claims: [{ id: `${id}-c`, text: "it is fast", holds: id === "f10", found: "as said" }],
  }),
  report: (results) => results.map(({ experiment: { id }, points }) => ({ path: `${id}/points.json`, text: `${JSON.stringify(points)}\n` })),
};

const run = async (named: Readonly<Record<string, unknown>>, options: Parameters<typeof fake>[0] = {}) => {
  const f = fake(options);
  const code = await execute(reproduceProgram(laboratory)(commandNamed("reproduce"))(given(named)), f.capabilities);
  return { code, stdout: f.stdout(), stderr: f.stderr(), f };
};

describe("reproduce", () => {
  it("runs each different request once, whoever asks for it", async () => {
    const { f, code } = await run({});
    expect(code).toBe(0);
    expect(f.ran.map((inputs) => inputs.request.batch)).toEqual([1, 2, 3]);
  });

  it("runs only what is named, in the order of the list", async () => {
    const { f } = await run({ ids: ["t5"] });
    expect(f.ran.map((inputs) => inputs.request.batch)).toEqual([2, 3]);
    expect([...f.files.keys()]).toEqual(["/home/results/paper/t5/points.json"]);
  });

  it("an unknown ID names the nearest and the known ones, exit 2; several are all named", async () => {
    expect(await run({ ids: ["f1O"] })).toMatchObject({ code: 2, stderr: "neuronlab reproduce: 1 mistake\n  f1O: unknown experiment; did you mean f10? known: f10, t5\n", stdout: "" });
    expect((await run({ ids: ["f1O", "zzzzz"] })).stderr).toBe("neuronlab reproduce: 2 mistakes\n  f1O: unknown experiment; did you mean f10? known: f10, t5\n  zzzzz: unknown experiment; known: f10, t5\n");
    expect((await run({ ids: ["f1O"], workers: "0", seed: "2", chek: true })).stderr).toBe(
      [
        "neuronlab reproduce: 4 mistakes",
        "  --chek: unknown flag; did you mean --check? known: --out, --check, --workers, --format, --seed",
        "  --workers: should be a whole number between 1 and 1024, got 0",
        "  f1O: unknown experiment; did you mean f10? known: f10, t5",
        "  --seed: changes what is published; add --out DIR to write it elsewhere",
        "",
      ].join("\n"),
    );
  });

  it("shows errors by experiment and role, the worst points, and the claims that do not hold", async () => {
    const { stdout } = await run({});
    expect(stdout).toMatch(/experiment +paper +points +median error +mean +worst +claims held\nf10 +Figure f10 +2 +1\.6% +1\.6% +2\.1% +1 of 1\nt5 +Figure t5 +2 +2\.5% +2\.5% +3\.0% +0 of 1\n/);
    expect(stdout).toMatch(/\ncheck +points +4 /);
    expect(stdout).toMatch(/worst 4 +series +x +reported +simulated +unit +error +role\nt5 +s +batch-3 +10\.0 +9\.70 +tokens\/s +-3\.0% +check\n/);
    expect(stdout).toMatch(/claim of +that does not hold +found\nt5 +it is fast +as said/);
  });

  it("JSON has points and claims, and nothing else is on stdout", async () => {
    const { stdout, stderr } = await run({ format: "json" });
    const json = JSON.parse(stdout) as { points: ReadonlyArray<object>; claims: ReadonlyArray<object> };
    expect(json.points).toHaveLength(4);
    expect(json.points[0]).toMatchObject({ experiment: "f10", id: "f10/batch-1", series: "s", x: "batch-1", unit: "tokens/s", reported: 10, simulated: expect.any(Number), signedError: expect.any(Number), role: "check" });
    expect(json.claims[1]).toEqual({ experiment: "t5", id: "t5-c", text: "it is fast", holds: false, found: "as said" });
    expect(stderr).toMatch(/^2 experiments, 3 runs in 0\.0s\nwrote 2 files under /);
  });

  it("a run that cannot be made is a gap with its reason; a fault of ours stops everything", async () => {
    const gap = await run({}, { simulate: ({ request: r }) => (r.batch === 2 ? E.left(unsupported("powerinfer-2", "not that batch")) : E.right(aRecord(r))) });
    expect(gap.code).toBe(0);
    expect(gap.stdout).toMatch(/f10 +Figure f10 +1 \+ 1 missing/);
    expect(gap.stdout).toMatch(/missing +why\nf10 s batch-2 +powerinfer-2: not that batch\n/);
    const fault = await run({}, { simulate: () => E.left(stuck(5, ["flash"])) });
    expect([fault.code, fault.stdout, fault.f.files.size]).toEqual([70, "", 0]);
  });

  it("writes the same bytes for any number of workers, and passes the number on", async () => {
    const [a, b] = [await run({ workers: "1" }), await run({ workers: "7" })];
    expect([...a.f.files]).toEqual([...b.f.files]);
    expect([a.f.workers, b.f.workers, (await run({})).f.workers]).toEqual([[1], [7], [null]]);
  });

  it("--seed replaces every seed, but not over the published results", async () => {
    expect((await run({ seed: "2" })).stderr).toBe("neuronlab reproduce: 1 mistake\n  --seed: changes what is published; add --out DIR to write it elsewhere\n");
    const { f } = await run({ seed: "2", out: "elsewhere" });
    expect(f.ran.every((inputs) => inputs.request.seed === 2)).toBe(true);
    expect([...f.files.keys()]).toEqual(["elsewhere/f10/points.json", "elsewhere/t5/points.json"]);
  });

  it("--check writes nothing and is content with the same bytes", async () => {
    const files = Object.fromEntries((await run({})).f.files);
    const { code, f, stdout } = await run({ check: true }, { files });
    expect(code).toBe(0);
    expect(Object.fromEntries(f.files)).toEqual(files);
    expect(stdout).toMatch(/are what comes out now\n$/);
  });

  it("--check names each differing point and exits 70", async () => {
    const files = Object.fromEntries((await run({})).f.files);
    const path = "/home/results/paper/f10/points.json";
    const points = JSON.parse(files[path]) as Array<ResultPoint>;
    const { code, stdout } = await run({ check: true, format: "json" }, { files: { ...files, [path]: `${JSON.stringify([points[0], { ...points[1], simulated: 1 }])}\n` } });
    expect(code).toBe(70);
    expect((JSON.parse(stdout) as { check: unknown }).check).toEqual({ same: false, differing: [expect.stringMatching(/f10\/points\.json: f10\/batch-2 s batch-2: stored 1, now 9\.79/)] });
    expect((await run({ check: true })).stdout).toMatch(/2 differences from the stored points:\n {2}.*f10\/points\.json: not stored yet\n/);
  });
});

describe("differences of points files", () => {
  it("name new and gone points, and a change that is only of bytes", () => {
    const row = (id: string): object => ({ id, simulated: 1 });
    expect(differences("p", JSON.stringify([row("a")]), JSON.stringify([row("b")]))).toEqual(["p: a: gone", "p: b: new"]);
    expect(differences("p", JSON.stringify({ points: [row("a")] }), JSON.stringify({ points: [row("a")] }, null, 1))).toEqual(["p: the same points, but not the same bytes"]);
    expect(differences("p", "x", "x")).toEqual([]);
    expect(differences("f/figure.svg", "<svg/>", "<svg><g/></svg>")).toEqual(["f/figure.svg: another picture than the stored one"]);
  });
});

describe("the canonical text of a request", () => {
  it("does not depend on the order of keys, and leaves out what is undefined", () => {
    expect(canonical({ b: 1, a: [{ d: null, c: "x" }], e: undefined })).toBe(canonical({ a: [{ c: "x", d: null }], b: 1 }));
  });
});
