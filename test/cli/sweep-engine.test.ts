import { existsSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { unsupported } from "../../sim/base/errors.js";
import { ENGINE_WORDS } from "../../sim/sweep/engine-words.js";
import { sweepProgram } from "../../cli/programs/sweep/program.js";
import type { Line } from "../../cli/store.js";
import type { Asked, Ended, Measuring } from "../../cli/program.js";
import { execute } from "../../cli/run.js";
import { bindingPath } from "../../engine/binding.js";
import { aRecord, aStore, commandNamed, fake, given } from "../fakes/capabilities.js";

const DECLARED = {
  schema: "neuronlab/sweep@1", id: "a", title: "Real runs", program: "engine",
  base: { model: "m.flash", prompt: "Once", tokens: 5, memory: "900MB", "ignore-end": true },
  axes: [{ over: "plan.pipeline.depth", values: [1, 8, 16] }], repetitions: 2,
};
const sweep = sweepProgram(() => []);

const wordOf = ({ command }: Asked, name: string): string | null => command.find((one) => one.startsWith(`--${name}=`))?.slice(name.length + 3) ?? null;

type Answered = Partial<Ended> & { readonly tokens?: ReadonlyArray<number> };

/** A call of the command over a store of `lines`; `engine` answers each process. */
const call = async (lines: Array<Line>, declared: object = DECLARED, engine: (asked: Asked, nth: number) => Answered = () => ({}), words: Readonly<Record<string, unknown>> = {}, measuring: Partial<Measuring> = {}) => {
  const asked: Array<Asked> = [];
  let [under, most] = [0, 0];
  const runProgram = (one: Asked) => async () => {
    most = Math.max(most, ++under);
    asked.push(one);
    await Promise.resolve();
    const { tokens = [1, 2, 3], ...ended } = engine(one, asked.length - 1);
    const speed = 10 + Number(wordOf(one, "depth"));
    const { energy: _, bound: __, ...record } = aRecord({ device: "this-host", model: "m", system: "neuronlab", memory: { _tag: "All" }, phase: "decode", prompt: 1, tokens: 4, batch: 1, seed: 1, fidelity: "cluster" });
    world.files.set(wordOf(one, "save")!, JSON.stringify({ ...record, origin: "measured", tokensPerSec: speed, energy: null, bound: null, limits: null, engine: { peakResident: 5e8 } }));
    under--;
    return E.right<never, Ended>({ exit: 0, signal: null, stdout: JSON.stringify({ text: "abc", tokens }), stderr: "", spent: null, ...ended });
  };
  const world = fake({ files: { "a.json": JSON.stringify(declared) }, store: (path) => aStore(path, lines), rivals: { runProgram }, measuring });
  const code = await execute(sweep(commandNamed("sweep"))(given({ file: "a.json", format: "json", ...words })), world.capabilities);
  return { code, json: world.stdout() === "" ? null : (JSON.parse(world.stdout()) as Readonly<Record<string, unknown>>), stderr: world.stderr(), asked, lines, most };
};
const depths = (ended: { readonly asked: ReadonlyArray<Asked> }): ReadonlyArray<number> => ended.asked.map((one) => Number(wordOf(one, "depth")));

describe("a sweep over runs of the engine", () => {
  it("makes one at a time, round by round and every other round backwards, whatever the number of workers", async () => {
    const ended = await call([], DECLARED, undefined, { workers: "4" });
    expect([ended.code, ended.most, depths(ended)]).toEqual([0, 1, [1, 8, 16, 16, 8, 1]]);
    expect(ended.stderr).toContain("one at a time");
    expect(ended.asked[0]!.command.slice(0, 2)).toEqual(["neuronlab", "generate"]);
    expect(ended.asked[0]!.command).toEqual(expect.arrayContaining(["--model=m.flash", "--memory=900MB", "--tokens=5", "--ignore-end", "--format=json"]));
    expect(ended.json).toMatchObject({ texts: { compared: 6, differences: [] }, rounds: [{ repetition: 0, relative: 1 }, { repetition: 1, relative: 1 }] });
  });

  it("knows what was measured, goes on in the same order, and answers the same", async () => {
    const whole = await call([]);
    const runs = whole.lines.flatMap((line, i) => (line.line === "run" ? [i] : []));
    for (const [made, until] of runs.entries()) {
      const resumed = await call(whole.lines.slice(0, until));
      expect([depths(resumed), resumed.json]).toEqual([[1, 8, 16, 16, 8, 1].slice(made), whole.json]);
    }
  });

  it("measures again where the engine, a file or the machine is another, and not where only a name is", async () => {
    const { lines } = await call([]);
    const again = async (declared: object, measuring: Partial<Measuring> = {}): Promise<number> => (await call([...lines], declared, undefined, {}, measuring)).asked.length;
    const content = (of: string): Partial<Measuring> => ({ contentHash: () => TE.right(of) });
    expect(await again(DECLARED)).toBe(0);
    expect(await again({ ...DECLARED, base: { ...DECLARED.base, memory: "0.9GB" } })).toBe(0);
    expect(await again({ ...DECLARED, base: { ...DECLARED.base, model: "other.flash" } }, content("content of m.flash"))).toBe(0);
    expect(await again(DECLARED, content("retrained"))).toBe(6);
    expect(await again(DECLARED, { nativeModule: TE.right({ path: "x", hash: "another" }) })).toBe(6);
    expect(await again({ ...DECLARED, base: { ...DECLARED.base, threads: 1 } })).toBe(6);
    expect(await again({ ...DECLARED, repetitions: 3 })).toBe(3);
  });

  it("keeps text, machine, load and engine with what was measured", async () => {
    const { lines } = await call([]);
    const run = lines.find((line) => line.line === "run")!;
    expect(run).toMatchObject({ state: "done", metrics: { tokensPerSec: 11, peakResident: 5e8, joulesPerToken: null } });
    const text = lines.find((line) => line.line === "document" && line.kind === "text");
    expect(text).toMatchObject({ hash: (run as { readonly text?: string }).text, content: { text: "abc", tokens: [1, 2, 3] } });
    expect(lines[0]).toMatchObject({ line: "manifest", workers: 1, code: "native", measuring: { native: "native", load: [0.5, 0.25, 0.125] } });
  });

  it("tells a text that differs where none may as a failed claim, and lets it differ where it may", async () => {
    const wrong = await call([], DECLARED, (one) => ({ tokens: wordOf(one, "depth") === "8" ? [1, 2, 4] : [1, 2, 3] }));
    expect([wrong.code, (wrong.json!.texts as { readonly differences: ReadonlyArray<unknown> }).differences.length]).toEqual([70, 1]);
    expect(wrong.stderr).toMatch(/CLAIM FAILED: point 0, .* and point 1, .* wrote different texts/);
    const may = await call([], { ...DECLARED, axes: [{ over: "temperature", values: [0, 0.5] }] }, (one) => ({ tokens: [Number(wordOf(one, "temperature"))] }));
    expect([may.code, may.json!.texts]).toEqual([0, { compared: 4, differences: [] }]);
  });

  it("keeps a refusal as an answer and a failure as one, with the exit codes that they have alone", async () => {
    const ended = await call([], DECLARED, (one) => (wordOf(one, "depth") === "1" ? { exit: 3, stderr: "does not fit\n" } : wordOf(one, "depth") === "8" ? { exit: null, signal: "SIGKILL" } : {}));
    expect(ended.code).toBe(70);
    expect(ended.lines.flatMap((line) => (line.line === "run" && line.state !== "done" ? [[line.state, line.reason?.split("\n")[0]]] : []))).toEqual([["refused", "the engine: does not fit"], ["failed", expect.stringContaining("SIGKILL")], ["failed", expect.stringContaining("SIGKILL")], ["refused", "the engine: does not fit"]]);
  });

  it("that cannot be is refused before anything runs", async () => {
    const told = async (declared: object, measuring: Partial<Measuring> = {}) => {
      const { code, asked, stderr } = await call([], declared, undefined, {}, measuring);
      return [code, asked.length, stderr] as const;
    };
    expect(await told(DECLARED, { nativeModule: TE.left(unsupported("the native engine is not built", "install Rust")) })).toEqual([3, 0, expect.stringContaining("install Rust")]);
    expect(await told({ ...DECLARED, base: { ...DECLARED.base, model: "none.flash" } })).toEqual([2, 0, expect.stringContaining("there is no such file")]);
    expect(await told({ ...DECLARED, base: { prompt: "Once", model: "m.gguf" } })).toEqual([2, 0, expect.stringContaining("give --memory too")]);
    expect(await told({ ...DECLARED, axes: [{ over: "deepth", values: [1] }] })).toEqual([2, 0, expect.stringContaining("did you mean depth")]);
    expect(await told({ ...DECLARED, axes: [{ over: "depth", values: [0] }] })).toEqual([2, 0, expect.stringContaining("between 1 and 4096")]);
    expect(await told({ ...DECLARED, axes: [{ over: "depth", values: [1] }, { name: "again", over: "plan.pipeline.depth", values: [2] }] })).toEqual([2, 0, expect.stringContaining("depth is varied by two axes")]);
    expect(await told({ ...DECLARED, base: { ...DECLARED.base, adapt: "yes" } })).toEqual([2, 0, expect.stringContaining('is "on" or "off"')]);
    expect(await told({ ...DECLARED, program: "engin" })).toEqual([2, 0, expect.stringContaining("program")]);
    expect(await told(DECLARED, { alone: () => TE.left(unsupported("another sweep of the engine", "is being made")) })).toEqual([3, 0, expect.stringContaining("is being made")]);
  });

  it("takes all words of generate that do not name what is written; a run that is saved begins with an empty cache, and keeps keys and values in f16", () => {
    const flags = commandNamed("generate").flags.map(({ name }) => name).filter((name) => !["trace", "save", "preload", "kv"].includes(name));
    expect([...ENGINE_WORDS].sort()).toEqual([...flags, "seed"].sort());
  });
});

const BIN = "bin/neuronlab.js";
const MODEL = "models/novels/novels-mixture.gguf";
const missing = !existsSync(bindingPath()) ? "the native module (npm run build:engine)" : !existsSync("dist/cli/main.js") ? "dist (npm run build)" : !existsSync(MODEL) ? MODEL : null;
if (missing !== null) console.log(`no real run of an engine sweep: ${missing} is missing`);

describe.skipIf(missing !== null)("a real one", () => {
  it("measures two points, and knows them afterwards", () => {
    const folder = mkdtempSync(join(tmpdir(), "neuronlab-sweep-engine-"));
    try {
      const file = join(folder, "two.json");
      writeFileSync(file, JSON.stringify({ schema: "neuronlab/sweep@1", id: "two", title: "Two", program: "engine", base: { model: MODEL, prompt: "It was a fine morning", tokens: 5, "ignore-end": true }, axes: [{ over: "threads", values: [1, 2] }], metrics: ["tokensPerSec", "peakResident"] }));
      const ran = () => spawnSync(process.execPath, [BIN, "sweep", file, "--store", join(folder, "s.duckdb"), "--format", "json"], { encoding: "utf8", env: { ...process.env, XDG_CACHE_HOME: folder } });
      const [first, again] = [ran(), ran()];
      expect([first.status, first.stderr]).toEqual([0, expect.stringContaining("2 runs made")]);
      expect(JSON.parse(first.stdout)).toMatchObject({ points: [{ state: "done" }, { state: "done" }], texts: { compared: 2, differences: [] } });
      expect([again.status, again.stdout, again.stderr]).toEqual([0, first.stdout, expect.stringContaining("0 runs made")]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 240_000);
});
