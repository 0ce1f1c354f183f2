/** What `neuronlab results` says of a real store that real sweeps wrote; only the simulator is made up. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { fault } from "../../sim/base/errors.js";
import { storeAt } from "../../cli/node/store/store.js";
import { servedSweeps } from "../../cli/programs/results/served.js";
import { resultsProgram } from "../../cli/programs/results/program.js";
import { sweepProgram } from "../../cli/programs/sweep/program.js";
import type { Outcome, RunInputs } from "../../cli/program.js";
import { execute } from "../../cli/run.js";
import { aRecord, commandNamed, fake, given } from "../fakes/capabilities.js";

const folder = mkdtempSync(join(tmpdir(), "neuronlab-results-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, "store.duckdb");

const declared = (id: string, batches: ReadonlyArray<number>): object => ({ schema: "neuronlab/sweep@1", id, title: `Batches of ${id}`, base: { model: "bamboo-7b", offload: "50%", tokens: 4 }, axes: [{ over: "batch", values: batches }], repetitions: 2, metrics: ["tokensPerSec"] });
const simulate = ({ request }: RunInputs): Outcome => (request.batch === 3 ? E.left(fault("broken here")) : request.batch === 4 ? E.left({ _tag: "DoesNotFit", needed: 4e9, allowed: 1e9, parts: [{ part: "weights", bytes: 4e9 }], hint: "too much; its parts, largest first:" }) : E.right(aRecord(request)));

/** The hour of the day moves on from one call to the next. */
let hour = 0;
const fill = async (id: string, batches: ReadonlyArray<number>, hash: string): Promise<void> => {
  const world = fake({ files: { "a.json": JSON.stringify(declared(id, batches)) }, simulate, store: storeAt });
  hour += 1;
  const clock = (): Date => new Date(Date.UTC(2026, 10, 21, hour));
  await execute(sweepProgram(() => [])(commandNamed("sweep"))(given({ file: "a.json", store: path, format: "json" })), { ...world.capabilities, clock, code: TE.right({ hash, commit: null, dirty: null }) });
};

const results = async (words: ReadonlyArray<string>, flags: Readonly<Record<string, unknown>> = {}) => {
  const world = fake({ store: storeAt });
  const code = await execute(resultsProgram(commandNamed("results"))(given({ ...(words.length === 0 ? {} : { words: [...words] }), store: path, ...flags })), world.capabilities);
  return { code, stdout: world.stdout(), stderr: world.stderr() };
};
const json = async (...words: ReadonlyArray<string>) => {
  const { code, stdout, stderr } = await results(words, { format: "json" });
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as never;
};
const speedOf = (point: { readonly metrics: Readonly<Record<string, number | null>> }): number | null => point.metrics.tokensPerSec!;

beforeAll(async () => {
  await fill("first", [1, 2, 3, 4], "c0de0001");
  await fill("second", [2, 5], "c0de0001");
  await fill("first", [1, 2, 3, 4], "c0de0002");
});

describe("results list", () => {
  it("counts each sweep's runs by what became of them, by the code that made them", async () => {
    const listed: ReadonlyArray<Readonly<Record<string, unknown>>> = await json("list");
    expect(listed.map(({ id, code, runs, done, refused, failed }) => [id, code, runs, done, refused, failed].join(" ")).sort((a, b) => (a < b ? -1 : 1))).toEqual(["first c0de0001 8 4 2 2", "first c0de0002 8 4 2 2", "second c0de0001 4 4 0 0"]);
  });

  it("is what no word means, and says so of an empty store", async () => {
    expect((await results([])).stdout).toBe((await results(["list"])).stdout);
    const none = await results(["list"], { store: join(folder, "none.duckdb") });
    expect([none.code, none.stdout]).toEqual([2, ""]);
    expect(none.stderr).toContain("none.duckdb");
  });
});

describe("a sweep of which no run has ended", () => {
  const begunIn = async (store: string): Promise<void> => {
    const journal = await storeAt(store).journal("begun")();
    if (E.isLeft(journal)) throw new Error(JSON.stringify(journal.left));
    journal.right.append([{ line: "sweep", key: "5eed5eed5eed", id: "slow", title: "Slow", declaration: {} }]);
    await journal.right.close();
  };
  const SAID = "1 sweep has begun, and no run of it has ended yet: slow (declared 5eed5eed)";

  it("is told as begun where the store has nothing else", async () => {
    const store = join(folder, "begun.duckdb");
    await begunIn(store);
    expect(await results(["list"], { store })).toMatchObject({ code: 0, stdout: `${SAID}\n` });
    expect((await results(["list"], { store, format: "json" })).stdout).toBe("[]\n");
    expect(await results(["show", "slow"], { store })).toMatchObject({ code: 2, stderr: expect.stringContaining(`WHAT: ${SAID}`) as string });
    expect((await results(["show", "other"], { store })).stderr).toContain(`there is no sweep or run other; ${SAID}`);
    expect(await servedSweeps(storeAt(store)).json("index.json")()).toMatchObject({ right: { note: SAID, sweeps: [] } });
  });

  it("and beside others", async () => {
    const store = join(folder, "beside.duckdb");
    const world = fake({ files: { "a.json": JSON.stringify(declared("quick", [1])) }, simulate, store: storeAt });
    await execute(sweepProgram(() => [])(commandNamed("sweep"))(given({ file: "a.json", store, format: "json" })), world.capabilities);
    await begunIn(store);
    expect((await results(["list"], { store })).stdout).toMatch(new RegExp(`^sweep [^]*\nquick [^]*\n\n${SAID.replaceAll(/[()]/g, "\\$&")}\n$`));
  });
});

describe("results show", () => {
  it("has a sweep point by point: means of its repetitions, and why a point has none", async () => {
    const shown: { readonly points: ReadonlyArray<{ readonly coordinates: unknown; readonly runs: number; readonly state: string; readonly reason: string | null; readonly metrics: Readonly<Record<string, number | null>> }> } = await json("show", "second");
    expect(shown.points.map(({ coordinates, runs, state }) => [coordinates, runs, state])).toEqual([[{ batch: 2 }, 2, "done"], [{ batch: 5 }, 2, "done"]]);
    const [{ rows }] = [(await storeAt(path).ask("SELECT avg(tokensPerSec) FROM results WHERE sweep = 'second' GROUP BY point ORDER BY point")()) as { readonly right: { readonly rows: ReadonlyArray<ReadonlyArray<number>> } }].map(({ right }) => right);
    expect(shown.points.map(speedOf)).toEqual(rows!.map(([mean]) => mean));
    const first: typeof shown = await json("show", "first");
    expect(first.points.map(({ state, reason }) => [state, /broken here|4\.00GB|fit/.test(String(reason))])).toEqual([["done", false], ["done", false], ["failed", true], ["refused", true]]);
  });

  it("has in its table the run whose reason is told, and says how to see what was left out of it", async () => {
    const { stdout } = await results(["show", "first"]);
    const [, refused] = /refused \(([0-9a-f]{8})\): does not fit: needs\s+4\.00GB/.exec(stdout)!;
    expect(stdout).toMatch(/failed \([0-9a-f]{8}\): internal fault/);
    expect(stdout).not.toContain("largest first:");
    expect(stdout).toContain(`a reason in full: neuronlab results show ${refused} --store ${path}\n`);
    expect((await results(["show", refused!])).stdout).toContain("largest first:");
  });

  it("has one run by the beginning of its key, with all that it came from", async () => {
    const key = ((await json("query", "SELECT run FROM results WHERE sweep = 'second' AND point = 1 AND repetition = 0")) as ReadonlyArray<{ readonly run: string }>)[0]!.run;
    const run: Readonly<Record<string, unknown>> = await json("show", key.slice(0, 12));
    expect(run).toMatchObject({ key, state: "done", request: { batch: 5 }, manifest: { code: "c0de0001" }, places: [{ sweep: "second", point: 1, repetition: 0, coordinates: { batch: 5 } }], documents: { device: { name: "oneplus-12" }, model: { name: "bamboo-7b" } } });
  });

  it("takes the newest code, or the one that is named", async () => {
    expect(await json("show", "first")).toMatchObject({ code: "c0de0002" });
    expect(await json("show", "first@c0de0001")).toMatchObject({ code: "c0de0001" });
  });

  it("of a name that is not there says which are, and the nearest", async () => {
    const { code, stdout, stderr } = await results(["show", "frist"]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("did you mean first?");
    expect(stderr).toContain("second");
    const beef = await results(["show", "first@beef"]);
    expect([beef.code, beef.stderr]).toEqual([2, expect.stringMatching(/first is there, and not as @beef; behind the @ goes the beginning of a code or of a declaration: code c0de0002 \(declared [0-9a-f]{8}\), code c0de0001 \(declared [0-9a-f]{8}\)\n/)]);
  });
});

describe("a name with an @", () => {
  it("takes what stands behind it as the beginning of the code, or else of the declaration, as the list has both", async () => {
    const listed: ReadonlyArray<{ readonly id: string; readonly key: string; readonly code: string }> = await json("list");
    for (const { id, key } of listed) expect(await json("show", `${id}@${key.slice(0, 4)}`)).toMatchObject({ id, key });
    const second = listed.find(({ id }) => id === "second")!;
    expect(await json("diff", `second@${second.key.slice(0, 4)}`, "first")).toMatchObject({ a: { key: second.key }, b: { id: "first" } });
    // Of several by one declaration the newest, as without a word.
    expect(await json("show", `first@${listed.find(({ id }) => id === "first")!.key.slice(0, 8)}`)).toMatchObject({ code: "c0de0002" });
  });
});

describe("results diff", () => {
  it("of two versions of the code that give the same finds nothing", async () => {
    expect(await json("diff", "first@c0de0001", "first@c0de0002")).toMatchObject({ shared: 4, onlyIn: { a: 0, b: 0 }, points: [] });
  });

  it("of two sweeps compares the points of both, and counts the others", async () => {
    const found: { readonly points: ReadonlyArray<{ readonly at: string; readonly changes: ReadonlyArray<{ readonly a: number; readonly b: number; readonly change: number }> }> } = await json("diff", "first", "second");
    expect(found).toMatchObject({ shared: 1, onlyIn: { a: 3, b: 1 } });
    for (const { at, changes } of found.points) {
      expect(at).toBe("batch 2");
      for (const { a, b, change } of changes) expect(change).toBeCloseTo(b / a - 1, 12);
    }
  });

  it("of two runs names the facts that differ, asked and found", async () => {
    const keys = ((await json("query", "SELECT run FROM results WHERE sweep = 'second' AND repetition = 0 ORDER BY point")) as ReadonlyArray<{ readonly run: string }>).map(({ run }) => run);
    const found: { readonly inputs: ReadonlyArray<{ readonly path: string; readonly a: string; readonly b: string }>; readonly metrics: ReadonlyArray<{ readonly metric: string }> } = await json("diff", keys[0]!, keys[1]!);
    expect(found.inputs).toContainEqual({ path: "request.batch", a: "2", b: "5" });
    expect(found.inputs.every(({ path: at }) => at.startsWith("request."))).toBe(true);
    expect(found.metrics.map(({ metric }) => metric)).toContain("tokensPerSec");
    const mixed = await results(["diff", "first", keys[0]!]);
    expect([mixed.code, mixed.stderr]).toEqual([2, expect.stringContaining("one is a sweep and the other a run")]);
  });
});

describe("results export", () => {
  it("writes a row a run, the same for each format's reader, with provenance only if asked for", async () => {
    for (const format of ["csv", "jsonl", "parquet"]) expect(await results(["export", "second"], { out: join(folder, `second.${format}`) })).toMatchObject({ code: 0, stderr: expect.stringContaining(`second.${format}`) as string });
    const rows = readFileSync(join(folder, "second.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    expect(rows.map(({ point, repetition, batch, state }) => [point, repetition, batch, state])).toEqual([[0, 0, 2, "done"], [0, 1, 2, "done"], [1, 0, 5, "done"], [1, 1, 5, "done"]]);
    const [head, ...lines] = readFileSync(join(folder, "second.csv"), "utf8").trim().split("\n");
    expect([head!.split(",").slice(0, 3), lines.length]).toEqual([["point", "repetition", "batch"], 4]);
    expect(head).not.toContain("finishedAt");
    await results(["export", "second"], { out: join(folder, "provenance.csv"), provenance: true });
    expect(readFileSync(join(folder, "provenance.csv"), "utf8").split("\n")[0]).toContain("finishedAt");
  });

  it("refuses another ending, no file and a folder that is not there, and leaves nothing", async () => {
    const before = readdirSync(folder).sort();
    expect(await results(["export", "second"], { out: join(folder, "second.xls") })).toMatchObject({ code: 2, stderr: expect.stringContaining(".parquet") as string });
    expect(await results(["export", "second"])).toMatchObject({ code: 2, stderr: expect.stringContaining("--out") as string });
    expect((await results(["export", "second"], { out: join(folder, "no", "x.csv") })).code).toBe(74);
    expect((await results(["export", "third"], { out: join(folder, "x.csv") })).code).toBe(2);
    expect(readdirSync(folder).sort()).toEqual(before);
  });
});

describe("results query", () => {
  it("answers a question as a table and as rows", async () => {
    expect(await json("query", "SELECT sweep, count(*) AS runs FROM results WHERE state = 'done' GROUP BY sweep ORDER BY sweep")).toEqual([{ sweep: "first", runs: 8 }, { sweep: "second", runs: 4 }]);
    expect((await results(["query", "SELECT 7 AS lucky"])).stdout).toMatch(/lucky\n\s*7/);
  });

  it("can only read, and says what is wrong in a question", async () => {
    for (const sql of ["DROP TABLE runs", "SELECT nothing FROM results"]) expect(await results(["query", sql])).toMatchObject({ code: 2, stdout: "" });
    expect(((await json("query", "SELECT count(*) AS n FROM runs")) as ReadonlyArray<{ readonly n: number }>)[0]!.n).toBeGreaterThan(0);
  });
});

describe("results with words that make no sense", () => {
  it("names what is known, the nearest, and how many words belong there", async () => {
    expect(await results(["shwo", "first"])).toMatchObject({ code: 2, stderr: expect.stringContaining("did you mean show?") as string });
    expect(await results(["show"])).toMatchObject({ code: 2, stderr: expect.stringContaining("show takes 1 word more, got 0") as string });
    expect(await results(["list", "first"])).toMatchObject({ code: 2, stderr: expect.stringContaining("list takes nothing more") as string });
    expect(await results(["list"], { out: "x.csv" })).toMatchObject({ code: 2, stderr: expect.stringContaining("is for export") as string });
  });
});

describe("sweeps over HTTP", () => {
  it("have ended when nothing more is wanted, which a stopping rule decides by what is there", async () => {
    const store = join(folder, "stopped.duckdb");
    // No interval is so narrow: five repetitions.
    const stopped = { ...declared("stopped", [1, 2]), repetitions: 2, stop: { metric: "tokensPerSec", halfWidth: 1e-6, atMost: 5 } };
    const served = servedSweeps(storeAt(store));
    const answer = async (rest: string): Promise<Readonly<Record<string, unknown>>> => {
      const got = await served.json(rest)();
      if (E.isLeft(got)) throw new Error(JSON.stringify(got.left));
      return got.right as Readonly<Record<string, unknown>>;
    };
    const made = async (most: number, flags: Readonly<Record<string, unknown>>): Promise<string> => {
      let runs = 0;
      const world = fake({ files: { "a.json": JSON.stringify(stopped) }, simulate: (inputs) => (++runs > most ? E.left(fault("broken here")) : simulate(inputs)), store: storeAt });
      await execute(sweepProgram(() => [])(commandNamed("sweep"))(given({ file: "a.json", store, format: "json", ...flags })), world.capabilities);
      return ((await answer("index.json"))["sweeps"] as ReadonlyArray<{ readonly name: string }>)[0]!.name;
    };
    const name = await made(3, { "fail-fast": true });
    // Before anybody has asked for the page it is not known how many are wanted.
    expect(await answer(`${name}/progress.json`)).toMatchObject({ done: 4, failed: 1, wanted: null, ended: false });
    const first = (await answer(`${name}.json`))["progress"] as Readonly<Record<string, unknown>>;
    expect(first).toMatchObject({ done: 4, ended: false });
    expect(first["wanted"]).toBeGreaterThan(4);
    expect(await answer(`${name}/progress.json`)).toEqual(first);
    await made(100, { "retry-failed": true });
    await made(100, {});
    const { version } = await answer(`${name}/progress.json`);
    expect(version).not.toBe(first["version"]);
    expect((await answer(`${name}.json`))["progress"]).toMatchObject({ version, done: 10, failed: 0, wanted: 10, ended: true });
    expect(await answer("nothing.json")).toBeNull();
    expect(await answer(`${name}/other.json`)).toBeNull();
  });
});
