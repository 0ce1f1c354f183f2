import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { E, type TaskEither } from "../../sim/base/fp.js";
import { storeAt } from "../../cli/node/store/store.js";
import type { Journal, Line, StoredRun } from "../../cli/store.js";
import { METRICS } from "../../sim/report/metrics.js";

const folder = mkdtempSync(join(tmpdir(), "neuronlab-store-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let serial = 0;
const fresh = (): string => join(folder, `${serial++}.duckdb`);

const right = async <A>(task: TaskEither<unknown, A>): Promise<A> => {
  const ended = await task();
  if (E.isLeft(ended)) throw new Error(JSON.stringify(ended.left));
  return ended.right;
};

const runOf = (key: string, more: Partial<StoredRun> = {}): StoredRun => ({ key, manifest: "m", state: "done", reason: null, exit: 0, request: { batch: 1 }, device: "d", model: "d", system: "d", plan: null, metrics: { tokensPerSec: 11 }, limit: "flash", seconds: 0.5, finishedAt: "2026-11-21T17:00:00.000Z", ...more });
const HEAD: ReadonlyArray<Line> = [
  { line: "manifest", id: "m", sweep: "s", command: "neuronlab sweep a.json", code: "c0de", version: "0", commit: null, dirty: null, node: "20", host: { name: "h", cpu: "c", cores: 1, memoryBytes: 1, kernel: "k" }, workers: 1, seed: 1, startedAt: "2026-11-21T17:00:00.000Z" },
  { line: "sweep", key: "s", id: "a", title: "A", declaration: {} },
];
const linesOf = (run: StoredRun, point: number): ReadonlyArray<Line> => [{ line: "run", ...run }, { line: "member", sweep: "s", point, repetition: 0, coordinates: { "a b": point, block: "64KiB" }, run: run.key }];

const journalled = async (path: string, lines: ReadonlyArray<Line>, end = true): Promise<void> => {
  const journal = await right(storeAt(path).journal(`j${serial++}`));
  expect(journal.append(lines)).toEqual(E.right(undefined));
  if (end) await right(journal.close);
};
const journals = (path: string): ReadonlyArray<string> => readdirSync(`${path}.journals`).map((name) => join(`${path}.journals`, name));

describe("a journal", () => {
  it("is known as soon as it is written, and taken into the file once", async () => {
    const path = fresh();
    await journalled(path, [...HEAD, ...linesOf(runOf("k1"), 0)], false);
    expect([...(await right(storeAt(path).known(["k1", "k2"]))).keys()]).toEqual(["k1"]);
    // Its writer, this process, lives on: the file stays, and is not counted twice.
    expect(journals(path)).toHaveLength(1);
    expect(await right(storeAt(path).absorb)).toBe(0);
    expect((await right(storeAt(path).ask("SELECT run, tokensPerSec FROM results"))).rows).toEqual([["k1", 11]]);
  });

  it("is put away when it has its end, or when its writer is gone", async () => {
    const path = fresh();
    await journalled(path, [...HEAD, ...linesOf(runOf("k1"), 0)]);
    await right(storeAt(path).absorb);
    expect(journals(path)).toEqual([]);
    await journalled(path, linesOf(runOf("k2"), 1), false);
    const gone = spawnSync(process.execPath, ["-e", ""]).pid;
    renameSync(journals(path)[0]!, journals(path)[0]!.replace(`--${process.pid}--`, `--${gone}--`));
    expect(await right(storeAt(path).absorb)).toBe(1);
    expect(journals(path)).toEqual([]);
  });

  it("cut off at any byte gives whole runs and no half of one", async () => {
    const source = fresh();
    const journal = await right(storeAt(source).journal("cut"));
    journal.append(HEAD);
    for (let i = 0; i < 4; i++) journal.append(linesOf(runOf(`k${i}`), i));
    const file = journals(source)[0]!;
    const bytes = readFileSync(file);
    const ends = [...bytes.toString().matchAll(/\n/g)].map(({ index }) => index + 1).slice(1);
    const path = fresh();
    await journalled(path, []);
    for (const cut of [ends[0]! - 1, ends[0]!, ends[0]! + 1, ends[2]! - 9, bytes.length - 1]) {
      writeFileSync(join(`${path}.journals`, `cut${cut}--1--elsewhere.jsonl`), bytes.subarray(0, cut));
      const known = await right(storeAt(path).known(["k0", "k1", "k2", "k3"]));
      const { rows } = await right(storeAt(path).ask("SELECT count(*) FROM members"));
      // A line without its line break is whole all the same: what is missing is nothing of it.
      expect([known.size, rows[0]![0]], `cut at ${cut}`).toEqual([ends.filter((end) => end - 1 <= cut).length, ends.filter((end) => end - 1 <= cut).length]);
    }
    await right(journal.close);
  });

  it("a line that is torn by a full disk does not spoil those of others", async () => {
    const path = fresh();
    await journalled(path, [...HEAD, ...linesOf(runOf("k1"), 0)]);
    appendFileSync(journals(path)[0]!, '[{"line":"run","key":"k2"');
    await journalled(path, linesOf(runOf("k3"), 2));
    expect([...(await right(storeAt(path).known(["k1", "k2", "k3"]))).keys()].sort()).toEqual(["k1", "k3"]);
  });
});

describe("a look into the journals of others", () => {
  /** Looks are some milliseconds apart. */
  const looked = async (journal: Journal): Promise<readonly [number, ReadonlyArray<string>]> => {
    await new Promise((next) => setTimeout(next, 60));
    const { writers, runs } = journal.elsewhere();
    return [writers, runs.map(({ key }) => key)];
  };

  it("tells each finished run once, whoever writes, and who writes still", async () => {
    const path = fresh();
    const [mine, theirs, third] = [await right(storeAt(path).journal("mine")), await right(storeAt(path).journal("theirs")), await right(storeAt(path).journal("third"))];
    mine.append(linesOf(runOf("k0"), 0));
    theirs.append([...HEAD, ...linesOf(runOf("k1"), 1)]);
    expect(await looked(mine)).toEqual([2, ["k1"]]);
    expect(mine.elsewhere().runs).toEqual([]);
    theirs.append(linesOf(runOf("k2"), 2));
    third.append(linesOf(runOf("k3", { reason: "a word of two bytes: \u00fc" }), 3));
    expect(await looked(mine)).toEqual([2, ["k2", "k3"]]);
    await right(theirs.close);
    expect(await looked(mine)).toEqual([1, []]);
    await right(third.close);
    await right(storeAt(path).absorb);
    expect([await looked(mine), journals(path).length]).toEqual([[0, []], 1]);
    await right(mine.close);
  });

  it("reads no half of a line, and the whole of it when it is there", async () => {
    const path = fresh();
    const [mine, theirs] = [await right(storeAt(path).journal("mine")), await right(storeAt(path).journal("theirs"))];
    const file = journals(path).find((one) => one.includes("theirs"))!;
    const line = `${JSON.stringify(linesOf(runOf("k1"), 1))}\n`;
    appendFileSync(file, line.slice(0, 20));
    expect(await looked(mine)).toEqual([1, []]);
    appendFileSync(file, line.slice(20));
    expect(await looked(mine)).toEqual([1, ["k1"]]);
    for (const journal of [mine, theirs]) await right(journal.close);
  });
});

describe("a run that is kept", () => {
  it("comes back as it was", async () => {
    const path = fresh();
    const run = runOf("k1", { state: "refused", reason: "does 'not' fit\n\"really\"", exit: 3, metrics: { tokensPerSec: null }, limit: null, plan: "p", seconds: 0.125 });
    await journalled(path, [...HEAD, ...linesOf(run, 0)]);
    expect((await right(storeAt(path).known(["k1"]))).get("k1")).toEqual(run);
  });

  it("that failed gives way to one that did not, and never the other way round", async () => {
    const path = fresh();
    const failed = runOf("k1", { state: "failed", reason: "broken", exit: 70 });
    for (const [run, state] of [[failed, "failed"], [runOf("k1"), "done"], [failed, "done"]] as const) {
      await journalled(path, [...HEAD, ...linesOf(run, 0)]);
      expect((await right(storeAt(path).known(["k1"]))).get("k1")!.state).toBe(state);
    }
    const both = fresh();
    await journalled(both, [...HEAD, ...linesOf(failed, 0), ...linesOf(runOf("k1"), 0)]);
    expect((await right(storeAt(both).known(["k1"]))).get("k1")!.state).toBe("done");
  });
});

describe("a store of version 1", () => {
  it("is brought up to date with all that it has", async () => {
    const path = fresh();
    copyFileSync("test/cli/stores/version-1.duckdb", path);
    const known = await right(storeAt(path).known(["aaaaaa01", "aaaaaa02", "aaaaaa03"]));
    expect([...known.values()].sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ key, state, exit, metrics }) => [key, state, exit, metrics])).toEqual([["aaaaaa01", "done", 0, { tokensPerSec: 11.5 }], ["aaaaaa02", "refused", 3, {}], ["aaaaaa03", "failed", 70, {}]]);
    expect((await right(storeAt(path).ask("SELECT version FROM store"))).rows).toEqual([[3]]);
    expect((await right(storeAt(path).ask("SELECT sweep, point, tokensPerSec FROM results ORDER BY point"))).rows).toEqual([["old", 0, 11.5], ["old", 1, null], ["old", 2, null]]);
    await journalled(path, [...HEAD, ...linesOf(runOf("aaaaaa03"), 2)]);
    expect((await right(storeAt(path).known(["aaaaaa03"]))).get("aaaaaa03")!.state).toBe("done");
  });
});

describe("a file that is no store", () => {
  it("is refused with a sentence: another program's, a later version's, none at all", async () => {
    const text = fresh();
    writeFileSync(text, "hello, this is a text and not a database");
    expect(await storeAt(text).absorb()).toMatchObject({ left: { _tag: "BadInput", mistakes: [{ message: expect.stringContaining("is not a store of results") as string }] } });
    const { DuckDBInstance } = await import("@duckdb/node-api");
    const make = async (path: string, ...statements: ReadonlyArray<string>): Promise<void> => {
      const instance = await DuckDBInstance.create(path);
      const connection = await instance.connect();
      for (const statement of statements) await connection.run(statement);
      connection.closeSync();
      instance.closeSync();
    };
    const [other, later] = [fresh(), fresh()];
    await make(other, "CREATE TABLE mine (x INTEGER)");
    await make(later, "CREATE TABLE store (version INTEGER)", "INSERT INTO store VALUES (99)");
    expect(await storeAt(other).absorb()).toMatchObject({ left: { mistakes: [{ message: expect.stringContaining("no store of results") as string }] } });
    expect(await storeAt(later).absorb()).toMatchObject({ left: { mistakes: [{ message: expect.stringContaining("version 99") as string }] } });
    expect(await storeAt(join(folder, "none.duckdb")).ask("SELECT 1")()).toMatchObject({ left: { _tag: "BadInput" } });
    expect(existsSync(join(folder, "none.duckdb"))).toBe(false);
    expect(await storeAt(join("/proc", "nowhere", "x.duckdb")).absorb()).toMatchObject({ left: { _tag: "Disk" } });
  });
});

describe("questions", () => {
  it("only read, and reach no other file", async () => {
    const path = fresh();
    await journalled(path, [...HEAD, ...linesOf(runOf("k1"), 0)]);
    for (const sql of ["DROP TABLE runs", "DELETE FROM runs", "COPY runs TO '/tmp/x.csv'", "SELECT * FROM read_csv('/etc/passwd')", "SET enable_external_access = true", "ATTACH '/tmp/y.duckdb' AS y", "SELECT nothing FROM nowhere", "SELEKT"])
      expect(await storeAt(path).ask(sql)(), sql).toMatchObject({ left: { _tag: "BadInput" } });
    expect((await right(storeAt(path).ask("SELECT count(*) AS n, coordinates->>'a b' AS place FROM results GROUP BY ALL")))).toEqual({ columns: ["n", "place"], rows: [[1, "0"]] });
  });

  it("know every metric", async () => {
    const path = fresh();
    await journalled(path, [...HEAD, ...linesOf(runOf("k1"), 0)]);
    expect((await right(storeAt(path).ask("SELECT * FROM results"))).columns).toEqual(expect.arrayContaining(Object.keys(METRICS)));
  });

  it("are exported whole or not at all, the same from each format", async () => {
    const path = fresh();
    await journalled(path, [...HEAD, ...linesOf(runOf("k1"), 0), ...linesOf(runOf("k2"), 1)]);
    const sql = "SELECT run, tokensPerSec FROM results ORDER BY run";
    for (const format of ["csv", "parquet", "jsonl"] as const) await right(storeAt(path).exported(sql, [], format, join(folder, `x.${format}`)));
    expect(readFileSync(join(folder, "x.csv"), "utf8")).toBe("run,tokensPerSec\nk1,11.0\nk2,11.0\n");
    expect(readFileSync(join(folder, "x.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as unknown)).toEqual([{ run: "k1", tokensPerSec: 11 }, { run: "k2", tokensPerSec: 11 }]);
    expect(readFileSync(join(folder, "x.parquet")).subarray(0, 4).toString()).toBe("PAR1");
    expect(E.isLeft(await storeAt(path).exported(sql, [], "csv", join(folder, "no", "such", "x.csv"))())).toBe(true);
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

describe("a store that another process has open", () => {
  it("is refused with a sentence that names the process, and what was journalled meanwhile is not lost", { timeout: 30_000 }, async () => {
    const path = fresh();
    await journalled(path, [...HEAD, ...linesOf(runOf("k1"), 0)]);
    await right(storeAt(path).absorb);
    const holder = spawn(process.execPath, ["--input-type=module", "-e", `import { DuckDBInstance } from ${JSON.stringify(`file://${resolve("node_modules/@duckdb/node-api/lib/index.js")}`)}; globalThis.kept = await DuckDBInstance.create(${JSON.stringify(path)}); console.log("open"); setInterval(() => {}, 1000);`]);
    await new Promise((open) => holder.stdout.once("data", open));
    await journalled(path, linesOf(runOf("k2"), 1));
    expect(await storeAt(path).absorb()).toMatchObject({ left: { _tag: "Disk", reason: expect.stringContaining(`is in use by process ${holder.pid}`) as string } });
    holder.kill("SIGKILL");
    await new Promise((closed) => holder.once("close", closed));
    expect([...(await right(storeAt(path).known(["k1", "k2"]))).keys()].sort()).toEqual(["k1", "k2"]);
  });
});
