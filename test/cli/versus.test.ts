import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import { execute } from "../../cli/run.js";
import { benchProgram } from "../../cli/programs/bench/bench.js";
import { statistics, type Row } from "../../cli/programs/bench/rows.js";
import { splitWords } from "../../cli/programs/split-words.js";
import type { Cell } from "../../cli/programs/versus/cell.js";
import { medianInterval } from "../../experiments/median-interval.js";
import { ratioOf } from "../../cli/programs/versus/ratio.js";
import type { Asked, Capabilities, Ended, Rival, Spent } from "../../cli/program.js";
import type { MemorySweep } from "../../experiments/plots/memory-sweep.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

/** The fields of llama-bench 0.5.0 that these tests do not look at. */
const REST = {
  build_number: 1, cpu_info: "a test", gpu_info: "", n_batch: 2048, n_ubatch: 512, cpu_mask: "0x0", cpu_strict: false, poll: 50, type_k: "f16", type_v: "f16", n_gpu_layers: -1, split_mode: "layer", main_gpu: 0, no_kv_offload: false,
  flash_attn: -1, tensor_split: "0.00", tensor_buft_overrides: "none", load_mode: "auto", embeddings: false, no_op_offload: 0, n_depth: 0, test_time: "2026-11-21T12:00:00Z",
};

const row = (tokens: number, rates: ReadonlyArray<number>, more: Readonly<Record<string, unknown>> = {}): Row =>
  ({ build_commit: "x", backends: "CPU", model_filename: "m", model_type: "llama 1B Q4_0", model_size: 1, model_n_params: 1, n_threads: 4, n_prompt: 0, n_gen: tokens, ...REST, ...statistics(rates.map((rate) => (1e9 * tokens) / rate), tokens), ...more });

const spent = (over: Partial<Spent> = {}): Spent => ({ limit: null, peak: null, killed: 0, peakResident: 5e8, minorFaults: 100, majorFaults: 3, bytesRead: 1e9, othersBusy: 0, stolen: 0, seconds: 2, cachedBefore: 0, ...over });
const ended = (rows: unknown, over: Partial<Ended> = {}): Ended => ({ exit: 0, signal: null, stdout: JSON.stringify(rows), stderr: "", spent: spent(), ...over });

type Rivals = Partial<Pick<Capabilities, "runProgram" | "memoryLimits" | "rival">>;

const BUILT: Rival = { version: "0.5.0", origin: "built here", mapped: ["-lm", "mmap"], inMemory: { program: "/d/llama-bench", repacks: true }, paging: { program: "/n/llama-bench", repacks: false } };

const rivalsThat = (runs: (asked: Asked, turn: number) => E.Either<AppError, Ended>, over: Rivals = {}) => {
  const ran: Array<Asked> = [];
  const rivals: Rivals = { runProgram: (asked) => () => Promise.resolve(runs(asked, ran.push(asked) - 1)), memoryLimits: TE.right({ kind: "v1" }), rival: () => TE.right(BUILT), ...over };
  return { ran, rivals };
};

const start = async (named: Readonly<Record<string, unknown>>, { rivals }: { readonly rivals?: Rivals } = {}, files: Readonly<Record<string, string>> = {}) => {
  const f = fake({ files, ...(rivals === undefined ? {} : { rivals }) });
  const drawn: Array<MemorySweep> = [];
  const program = benchProgram((sweep) => (drawn.push(sweep), { svg: "<svg/>", png: new Uint8Array([1]) }));
  const code = await execute(program(commandNamed("bench"))(given({ vs: "llama.cpp", ...named })), f.capabilities);
  return { code, drawn, files: f.files, stdout: f.stdout(), stderr: f.stderr() };
};

const isOurs = (asked: Asked): boolean => asked.command[0] === "neuronlab";
const wordAfter = ({ command }: Asked, flag: string): string => command[command.indexOf(flag) + 1]!;
const tokensOf = (asked: Asked): number => Number(wordAfter(asked, isOurs(asked) ? "--n-gen" : "-n"));

/** Ours makes 40 tokens a second, llama.cpp 10. */
const steady = (asked: Asked): E.Either<AppError, Ended> => E.right(ended([row(tokensOf(asked), isOurs(asked) ? [40, 44] : [10, 11])]));

const generation = { "n-prompt": "0", "n-gen": "16" };

interface Told { readonly rows: ReadonlyArray<Row>; readonly ratios: ReadonlyArray<Readonly<Record<string, unknown>>>; readonly gaps: ReadonlyArray<Readonly<Record<string, unknown>>>; readonly baselines: ReadonlyArray<Readonly<Record<string, unknown>>> }
const told = (stdout: string): Told => JSON.parse(stdout) as Told;

describe("ratios", () => {
  const cell = { request: { model: "m", memory: null, prompts: [], generations: [16] }, threads: 4, share: null, cache: "warm" } as unknown as Cell;

  it("pairs the repetitions of a round: whatever slows both for a while cancels", () => {
    const rounds = (all: ReadonlyArray<ReadonlyArray<number>>) => all.map((rates) => row(16, rates));
    const ratio = ratioOf(cell, "same file", rounds([[20, 22], [10, 12]]), rounds([[10, 10], [5, 5]]));
    expect(ratio).toMatchObject({ test: "tg16", against: "same file", low: expect.closeTo(2, 9) as unknown, high: expect.closeTo(2.4, 9) as unknown, ratio: expect.closeTo(2.1, 9) as unknown });
    expect(ratio.pairs.map((one) => Number(one.toFixed(9)))).toEqual([2, 2.2, 2, 2.4]);
  });

  it("bounds the median with order statistics, and says how sure that is", () => {
    const upTo = (n: number) => Array.from({ length: n }, (_, k) => n - k);
    // Tables of the binomial: n = 5 gives 0.9375 at best; 9 takes the second of each end (0.9609), 10 as well (0.9785), 12 the third (0.9614), 100 the fortieth (0.9648).
    expect(medianInterval(upTo(1))).toEqual({ low: 1, high: 1, confidence: 0 });
    expect(medianInterval(upTo(5))).toEqual({ low: 1, high: 5, confidence: expect.closeTo(0.9375, 9) as unknown });
    expect(medianInterval(upTo(6))).toEqual({ low: 1, high: 6, confidence: expect.closeTo(0.96875, 9) as unknown });
    expect(medianInterval(upTo(9))).toEqual({ low: 2, high: 8, confidence: expect.closeTo(0.9609375, 9) as unknown });
    expect(medianInterval(upTo(12))).toEqual({ low: 3, high: 10, confidence: expect.closeTo(0.96142578125, 9) as unknown });
    expect(medianInterval(upTo(100))).toMatchObject({ low: 40, high: 61, confidence: expect.closeTo(0.9648, 4) as unknown });
  });
});

describe("a ratio under a predictor", () => {
  const predicting = (asked: Asked) => E.right(ended([row(tokensOf(asked), isOurs(asked) ? [40, 44] : [10, 11], isOurs(asked) ? { ffn: "predicted in memory", labels: ["requantised", "predicted"] } : {})]));

  it("says wherever it stands that not all was computed", async () => {
    const words = { model: "m.gguf", predictor: "p.gguf", ...generation, repetitions: "2", rounds: "1" };
    expect(told((await start({ ...words, format: "json" }, rivalsThat(predicting))).stdout).ratios).toEqual([expect.objectContaining({ labels: ["requantised", "predicted"] })]);
    expect((await start(words, rivalsThat(predicting))).stdout).toMatch(/\| test \| model +\| FFNs +\|.*\n.*\n\| tg16 \| m\.gguf \| requantised, predicted \| +all \|/);
    const { files } = await start({ ...words, out: "o" }, rivalsThat(predicting));
    expect(files.get("o/README.md")).toContain("| tg16 | m.gguf | requantised, predicted |");
    // A cell that was kept counts only while the predictor is the same file, too.
    const [cell] = [...files].flatMap(([path, text]) => (path.startsWith("o/cells/") ? [JSON.parse(text) as { readonly asked: { readonly files: ReadonlyArray<{ readonly file: string; readonly bytes?: number }> } }] : []));
    expect(cell!.asked.files.find(({ file }) => file === "p.gguf")).toMatchObject({ bytes: expect.any(Number) as number });
  });

  it("in the picture too, where ours never ran as well", async () => {
    const sweep = { model: "m.gguf", predictor: "p.gguf", memory: "50%", ...generation, repetitions: "2", rounds: "1", out: "o", "page-cache": "warm" };
    const series = ({ drawn }: Awaited<ReturnType<typeof start>>) => drawn[0]!.panels.flatMap(({ points, gaps }) => [...points, ...gaps].map((one) => one.series));
    expect(series(await start(sweep, rivalsThat(predicting)))).toEqual(["neuronlab, predicted", "llama.cpp"]);
    expect(series(await start(sweep, rivalsThat((asked) => (isOurs(asked) ? E.right(ended([], { exit: 3, stderr: "does not fit" })) : predicting(asked)))))).toEqual(["llama.cpp", "neuronlab, predicted"]);
    // A model file that carries its predictors names none: the row tells.
    expect(series(await start({ ...sweep, predictor: undefined }, rivalsThat(predicting)))).toEqual(["neuronlab, predicted", "llama.cpp"]);
  });
});

describe("words for another program", () => {
  it("reads them as a shell would", () => {
    expect(splitWords(`  -fa off  -ot 'a b=CPU' "x y"z`)).toEqual(E.right(["-fa", "off", "-ot", "a b=CPU", "x yz"]));
    expect(splitWords("-fa 'off")).toEqual(E.left("has a quote that nothing closes: -fa 'off"));
  });
});

describe("bench --vs llama.cpp", () => {
  it("runs both in turn, each in a process of its own with a warm file, and whose turn it is first alternates", async () => {
    const { ran, rivals } = rivalsThat(steady);
    const { code, stdout } = await start({ model: "m.gguf", ...generation, repetitions: "2", threads: "2", rounds: "2", format: "json" }, { rivals });
    expect(code).toBe(0);
    expect(ran.map(isOurs)).toEqual([true, false, false, true]);
    expect(ran[0]).toMatchObject({ memory: null, cold: [], warm: ["m.gguf"], command: ["neuronlab", "bench", "--format", "json", "--model", "m.gguf", "--n-prompt", "0", "--n-gen", "16", "--repetitions", "2", "--threads", "2", "--memory", "all", "--seed", "1", "--ffn", "auto"] });
    expect(ran[1]).toMatchObject({ memory: null, cold: [], warm: ["m.gguf"], command: ["/d/llama-bench", "-m", "m.gguf", "-p", "0", "-n", "16", "-r", "2", "-t", "2", "-o", "json"] });
    const json = told(stdout);
    expect(json.ratios).toEqual([{ test: "tg16", model: "m.gguf", memory: null, memoryShare: null, threads: 2, cache: "warm", against: "same file", labels: [], ratio: expect.closeTo(4, 9) as unknown, low: expect.closeTo(4, 9) as unknown, high: expect.closeTo(4, 9) as unknown, confidence: 0.875, pairs: [4, 4, 4, 4].map((x) => expect.closeTo(x, 9) as unknown) }]);
    expect(json.rows.map(({ program, rounds, samples_ns, page_cache, process_peak_rss, process_minor_faults, process_major_faults, process_bytes_read }) => [program, rounds, samples_ns.length, page_cache, process_peak_rss, process_minor_faults, process_major_faults, process_bytes_read])).toEqual([["neuronlab", 2, 4, "warm", 5e8, 100, 3, 1e9], ["llama.cpp", 2, 4, "warm", 5e8, 100, 3, 1e9]]);
    expect(json.baselines).toEqual([expect.objectContaining({ against: "same file", version: "0.5.0", repacks: true, words: [], tried: [], settings: expect.objectContaining({ n_threads: 4, flash_attn: -1, n_ubatch: 512, load_mode: "auto" }) as unknown })]);
  });

  it("under a limit holds both to it, warm and cold apart, and takes the build of llama.cpp that can page", async () => {
    const { ran, rivals } = rivalsThat((asked) => E.right(ended([row(tokensOf(asked), isOurs(asked) ? [40, 44] : [10, 11], isOurs(asked) ? { labels: ["lossless"] } : {})])));
    const { stdout } = await start({ model: "m.flash", "llama-model": "m.gguf", memory: "900MB", ...generation, repetitions: "2", rounds: "1" }, { rivals });
    expect(ran.map(({ memory, cold, warm }) => [memory, cold, warm])).toEqual([[900e6, [], ["m.flash"]], [900e6, [], ["m.gguf"]], [900e6, ["m.flash"], []], [900e6, ["m.gguf"], []]]);
    expect(ran[1]!.command).toEqual(["/n/llama-bench", "-m", "m.gguf", "-p", "0", "-n", "16", "-r", "2", "-t", "4", "-o", "json", "-lm", "mmap"]);
    // Cold: one repetition, and nothing unmeasured before it.
    expect(ran[3]!.command).toEqual(["/n/llama-bench", "-m", "m.gguf", "-p", "0", "-n", "16", "-r", "1", "-t", "4", "-o", "json", "-lm", "mmap", "--no-warmup"]);
    expect([wordAfter(ran[2]!, "--repetitions"), ran[2]!.command.includes("--no-warmup")]).toEqual(["1", true]);
    expect(stdout).toMatch(/\| tg16 \| m\.flash \| lossless \| 900\.0MB \|\s+4 \| cold +\| same file +\|\s+4\.00 /);
    expect(stdout).toContain("llama.cpp 0.5.0, x (build 1): 4 threads, no repacking, flash attention auto, batch 2048, ubatch 512, load mode auto, poll 50, keys and values f16; words -lm mmap");
  });

  it("--preload fills our cache where the page cache is warm too, and nowhere else", async () => {
    const { ran, rivals } = rivalsThat((asked) => E.right(ended([row(tokensOf(asked), [40], isOurs(asked) ? { labels: ["lossless"] } : {})])));
    await start({ model: "m.flash", "llama-model": "m.gguf", memory: "900MB", preload: true, ...generation, repetitions: "1", rounds: "1" }, { rivals });
    expect(ran.map((asked) => [isOurs(asked), asked.warm.length > 0, asked.command.includes("--preload")])).toEqual([[true, true, true], [false, true, false], [true, false, false], [false, false, false]]);
  });

  it("each test has a process of its own, so that what it used is told of it alone", async () => {
    const { ran, rivals } = rivalsThat((asked) => {
      const prompt = Number(wordAfter(asked, isOurs(asked) ? "--n-prompt" : "-p"));
      return E.right(ended([{ ...row(Math.max(prompt, tokensOf(asked)), [5]), n_prompt: prompt, n_gen: tokensOf(asked) }]));
    });
    const { stdout } = await start({ model: "m.gguf", "n-prompt": "8,32", "n-gen": "4", rounds: "1", output: "csv" }, { rivals });
    expect(ran).toHaveLength(6);
    expect(stdout.trim().split("\n")).toHaveLength(7);
  });

  it("shows llama.cpp's best case beside the same file, and says when it is none", async () => {
    const { ran, rivals } = rivalsThat((asked) => E.right(ended([row(16, isOurs(asked) ? [40] : wordAfter(asked, "-m") === "silu.gguf" ? [20] : [10], { model_size: wordAfter(asked, "-m") === "silu.gguf" ? 2 : 1, model_type: "smallthinker 1B Q4_0" })])));
    const { stdout } = await start({ model: "m.gguf", pair: "silu.gguf", ...generation, repetitions: "1", rounds: "2", format: "json" }, { rivals });
    expect(ran.map((asked) => (isOurs(asked) ? "ours" : wordAfter(asked, "-m")))).toEqual(["ours", "m.gguf", "silu.gguf", "silu.gguf", "m.gguf", "ours"]);
    expect(told(stdout).ratios.map(({ against, ratio }) => [against, ratio])).toEqual([["same file", expect.closeTo(4, 9)], ["best case", expect.closeTo(2, 9)]]);
    expect((await start({ model: "m.gguf", pair: "silu.gguf", ...generation, rounds: "1" }, { rivals })).stdout).toContain("note: --pair is of another size: 2 bytes of weights beside 1");
    expect((await start({ model: "m.gguf", ...generation, rounds: "1" }, { rivals })).stdout).toContain("name one of the same size with --pair");
  });

  it("tries what --baseline-args name, and both builds where the limit leaves room for a copy, and runs the fastest", async () => {
    const { ran, rivals } = rivalsThat((asked) => E.right(isOurs(asked) ? ended([row(16, [40])]) : asked.command[0] === "/d/llama-bench" ? ended([], { exit: 137, spent: spent({ killed: 1 }) }) : ended([row(16, [asked.command.includes("off") ? 12 : 10])])));
    const { stdout } = await start({ model: "m.gguf", memory: "110%", "page-cache": "warm", "baseline-args": ["-fa on", "-fa off --poll 0"], ...generation, repetitions: "3", rounds: "1", format: "json" }, { rivals });
    const theirs = ran.filter((asked) => !isOurs(asked));
    expect(theirs.map((asked) => [asked.command[0], wordAfter(asked, "-r"), asked.command.slice(asked.command.indexOf("json") + 1)])).toEqual([
      ["/n/llama-bench", "1", ["-lm", "mmap", "-fa", "on"]], ["/n/llama-bench", "1", ["-lm", "mmap", "-fa", "off", "--poll", "0"]], ["/d/llama-bench", "1", ["-fa", "on"]], ["/d/llama-bench", "1", ["-fa", "off", "--poll", "0"]],
      ["/n/llama-bench", "3", ["-lm", "mmap", "-fa", "off", "--poll", "0"]],
    ]);
    expect(told(stdout).baselines[0]).toMatchObject({ words: ["-lm", "mmap", "-fa", "off", "--poll", "0"], repacks: false, tried: [{ rate: expect.closeTo(10, 6) as unknown }, { rate: expect.closeTo(12, 6) as unknown }, { rate: null, reason: "killed by the operating system for want of memory" }, { rate: null }] });
    const other = rivalsThat(steady);
    await start({ model: "m.gguf", memory: "50%", "page-cache": "warm", "baseline-args": "-lm mmap+mlock", ...generation, rounds: "1" }, other);
    expect(other.ran[1]!.command.slice(-2)).toEqual(["-lm", "mmap+mlock"]);
  });

  it("says when other work disturbed the machine", async () => {
    const disturbed = (othersBusy: number) => rivalsThat((asked) => E.right(ended([row(16, isOurs(asked) ? [40] : [10])], { spent: spent({ othersBusy, stolen: 0.03 }) })));
    expect((await start({ model: "m.gguf", ...generation, rounds: "1" }, disturbed(0.05))).stdout).not.toContain("note:");
    expect((await start({ model: "m.gguf", ...generation, rounds: "1" }, disturbed(0.7))).stdout).toContain("note: other work kept up to 0.73 cores busy during these runs");
  });

  it("refuses words that would make the two unlike", async () => {
    const refused = async (words: string) => (await start({ model: "m.gguf", "baseline-args": words })).stderr.split("\n")[1];
    expect(await refused("-t 8")).toBe("  --baseline-args: -t is the same for both programs; say it with neuronlab's own flag");
    expect(await refused("-fa 'off")).toBe("  --baseline-args: has a quote that nothing closes: -fa 'off");
    const twice = rivalsThat((asked) => E.right(ended(isOurs(asked) ? [row(16, [4])] : [row(16, [4]), row(16, [5])])));
    expect(await start({ model: "m.gguf", ...generation, "baseline-args": "-fa on,off" }, twice)).toMatchObject({ code: 2, stderr: expect.stringContaining("--baseline-args: make 2 tests of one") as unknown });
  });

  it("is an honest no where no limit can be set, llama.cpp is not built, or it was killed", async () => {
    const words = { model: "m.gguf", memory: "900MB", "page-cache": "cold", ...generation };
    const unlimited = rivalsThat(() => E.right(ended([])), { memoryLimits: TE.right({ kind: "none", reason: "not mounted" }) });
    const none = await start(words, unlimited);
    expect([none.code, none.stderr, unlimited.ran]).toEqual([3, "no memory limit can be set for llama.cpp here: not mounted; leave out --memory, or run where memory control groups can be made\n", []]);
    expect(await start({ model: "m.gguf" })).toMatchObject({ code: 3, stderr: "llama.cpp is not built: this is a test\n" });
    expect(await start({ model: "none.gguf" })).toMatchObject({ code: 2, stderr: "none.gguf: 1 mistake\n  (whole): there is no such file\n" });
    const killed = rivalsThat((asked) => E.right(isOurs(asked) ? ended([row(16, [5])]) : ended([], { exit: 137, spent: spent({ killed: 1 }) })));
    expect(await start({ ...words, rounds: "2" }, killed)).toMatchObject({ code: 3, stdout: "", stderr: "neuronlab bench: no ratio could be measured: llama.cpp: killed by the operating system for want of memory\n" });
    // The side that can run does so in all rounds.
    expect(killed.ran.map(isOurs)).toEqual([true, false, true]);
    const packed = rivalsThat((asked) => E.right(isOurs(asked) ? ended([row(16, [5])]) : ended([], { exit: 1, stderr: "failed to load model" })));
    expect((await start({ model: "m.flash", ...generation }, packed)).stderr).toContain("llama.cpp: ended with exit code 1: failed to load model; if that is a packed file, name its GGUF file with --llama-model");
    const wrong = rivalsThat(() => E.right(ended([], { exit: 2, stderr: "m.gguf: 1 mistake\n  (whole): there is no such file\n" })));
    expect(await start(words, wrong)).toMatchObject({ code: 2, stdout: "" });
    const strange = rivalsThat((asked) => E.right(isOurs(asked) ? ended([row(16, [5])]) : ended([{ ...row(16, [5]), avg_ts: "fast" }])));
    expect(await start(words, strange)).toMatchObject({ code: 2, stderr: "llama-bench: 1 mistake\n  [0].avg_ts: should be a number, got \"fast\"\n" });
  });
});

describe("a sweep of the limit", () => {
  const sweep = { model: "m.gguf", memory: "50%..100%/2", ...generation, repetitions: "2", rounds: "1", out: "o" };

  it("leaves a page, a picture and all rows, with the reasons of gaps, and what was finished is not measured again", async () => {
    const runs = (asked: Asked) => (asked.memory === 5e8 && isOurs(asked) ? E.right(ended([], { exit: 3, stderr: "does not fit: needs 0.60GB" })) : steady(asked));
    const first = rivalsThat(runs);
    const { code, drawn, files, stdout, stderr } = await start(sweep, first);
    expect(code).toBe(0);
    // Warm and cold at both limits; at the second, above which a copy fits, both builds are tried.
    expect(first.ran.map(({ memory }) => memory)).toEqual([...Array<number>(4).fill(5e8), ...Array<number>(8).fill(1e9)]);
    expect([...files.keys()].sort()).toEqual(["o/README.md", "o/cells/1-m.gguf-tg16-4t-1000000000B-cold.json", "o/cells/1-m.gguf-tg16-4t-1000000000B-warm.json", "o/cells/1-m.gguf-tg16-4t-500000000B-cold.json", "o/cells/1-m.gguf-tg16-4t-500000000B-warm.json", "o/comparison.json", "o/memory.png", "o/memory.svg", "o/rows.csv"]);
    expect(drawn).toMatchObject([{ panels: [{ title: "tg16", gaps: [{ series: "neuronlab", share: 0.5, cache: "warm" }, { series: "neuronlab", share: 0.5, cache: "cold" }] }], notes: ["no run: neuronlab, tg16 at 50 %: ended with exit code 3: does not fit: needs 0.60GB"] }]);
    expect(drawn[0]!.panels[0]!.points.map(({ series, cache, share }) => `${series} ${cache} ${share}`)).toEqual(["llama.cpp warm 0.5", "llama.cpp cold 0.5", "neuronlab warm 1", "llama.cpp warm 1", "neuronlab cold 1", "llama.cpp cold 1"]);
    expect(stderr).toContain("no figure: tg16, neuronlab on m.gguf in 500000000 bytes, warm, round 1: ended with exit code 3: does not fit: needs 0.60GB");
    const page = files.get("o/README.md")!;
    expect(page).toContain("- processor: a test, 4 cores\n- memory: 16.00GB; limits by control groups, v1\n- system: Linux 6\n- disk: ext4; in order 1.10GB/s, at random not known of 4 KiB (a test)\n- neuronlab 1.2.3; llama.cpp 0.5.0, built here");
    expect(page).toContain("## What is missing, and why");
    expect(files.get("o/rows.csv")!.trim().split("\n")).toHaveLength(7);

    const again = rivalsThat(runs);
    const second = await start(sweep, again, Object.fromEntries(files));
    expect(again.ran).toEqual([]);
    expect(second.stdout).toBe(stdout);
    expect(second.stderr).toContain("4 of 4 cells are from an earlier call; --fresh measures them again");

    const fresh = rivalsThat(runs);
    await start({ ...sweep, fresh: true }, fresh, Object.fromEntries(files));
    expect(fresh.ran).toHaveLength(12);
  });

  it("goes on after it was cut off, and measures again what was asked differently", async () => {
    const cut = rivalsThat((asked, turn) => (turn < 5 ? steady(asked) : E.left({ _tag: "Disk", path: "o", reason: "the disk is full" })));
    const stopped = await start(sweep, cut);
    expect(stopped.code).toBe(74);
    expect([...stopped.files.keys()]).toEqual(["o/cells/1-m.gguf-tg16-4t-500000000B-warm.json", "o/cells/1-m.gguf-tg16-4t-500000000B-cold.json"]);
    const rest = rivalsThat(steady);
    expect((await start(sweep, rest, Object.fromEntries(stopped.files))).code).toBe(0);
    expect(rest.ran.every(({ memory }) => memory === 1e9)).toBe(true);
    const other = rivalsThat(steady);
    await start({ ...sweep, repetitions: "3", "page-cache": "warm" }, other, Object.fromEntries(stopped.files));
    expect(other.ran.some(({ memory }) => memory === 5e8)).toBe(true);
    const damaged = rivalsThat(steady);
    await start(sweep, damaged, { ...Object.fromEntries(stopped.files), "o/cells/1-m.gguf-tg16-4t-500000000B-warm.json": "{" });
    expect(damaged.ran.filter(({ memory }) => memory === 5e8)).toHaveLength(2);
  });

  it("is refused where nothing is compared", async () => {
    const { stderr, code } = await start({ model: ["a", "b"], vs: null, out: "o", pair: "p", "page-cache": "cold", fresh: true });
    expect([code, stderr]).toEqual([2, "neuronlab bench: 4 mistakes\n  --pair: is for the comparison; give --vs llama.cpp too, or leave it out\n  --page-cache: is for the comparison; give --vs llama.cpp too, or leave it out\n  --out: is for the comparison; give --vs llama.cpp too, or leave it out\n  --pair: is given 1 times and --model 2 times; give one for each\n"]);
    expect((await start({ model: "m", fresh: true })).stderr).toContain("--fresh: is about what an earlier call left in --out");
  });
});
