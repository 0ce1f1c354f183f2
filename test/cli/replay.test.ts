/** neuronlab replay: with an engine that is made of the simulator, with one that errs, and with the real one on the text that comes along. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { TE } from "../../sim/base/fp.js";
import { badInput } from "../../sim/base/errors.js";
import { END_OF_TOKEN, MOST_TRACE_KEYS } from "../../sim/neurons/trace-keys.js";
import { evictionPolicies } from "../../sim/policies/eviction/index.js";
import { replayThrough } from "../../sim/policies/eviction/replay.js";
import { bindingPath } from "../../engine/binding.js";
import { engine, MOST_KEYS, REPLAY_POLICIES, type Engine, type ReplayRequest, type ReplayRow } from "../../engine/index.js";
import { execute } from "../../cli/run.js";
import { replayProgram } from "../../cli/programs/replay/replay.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";
import { writeSlow } from "../fakes/trace-writer.js";

/** Twelve tokens through three layers of 5 experts with 40 neurons each. */
const TRACE = readFileSync("test/vectors/activation-trace.bin", "latin1");
const SHIPPED = "models/novels/novels-mixture";

const rowOf = ({ policies: [name], slots: [slots], keys, trace, heat, windowTokens }: ReplayRequest): ReplayRow => {
  const policy = evictionPolicies.all.find((one) => one.name === name)!;
  const lookUps = trace.filter((key) => key !== END_OF_TOKEN);
  const { hits, misses, outcomes } = replayThrough(policy, { what: "neurons", keys, requests: trace, lookUps, heat: heat ?? new Float64Array(keys) }, { slots: slots!, windowTokens });
  return { policy: name!, slots: slots!, hits, misses, evictions: 0, declined: 0, seconds: 0.5, preparationSeconds: 0.1, outcomes };
};

const simulating: Engine["replay"] = (request) => TE.right({ rows: [rowOf(request)] });

interface Options { readonly replay?: Engine["replay"]; readonly files?: Readonly<Record<string, string>>; readonly shippedModels?: ReadonlyArray<string> }

const start = async (named: Readonly<Record<string, unknown>>, { replay = simulating, files = { "t.trace": TRACE }, shippedModels = [] }: Options = {}) => {
  const asked: Array<ReplayRequest> = [];
  const f = fake({ files, shippedModels, engine: { replay: (request, hooks) => (asked.push(request), replay(request, hooks)) } });
  const code = await execute(replayProgram(commandNamed("replay"))(given(named)), f.capabilities);
  return { code, asked, stdout: f.stdout(), stderr: f.stderr() };
};

interface Printed { readonly agree: boolean; readonly lookUps: number; readonly keys: number; readonly what: string; readonly rows: ReadonlyArray<{ readonly policy: string; readonly slots: number; readonly hits: number; readonly misses: number; readonly hitRate: number; readonly lookUpsPerSec: number; readonly simulator: { readonly hits: number }; readonly differsAt: number | null }> }
const printed = (stdout: string): Printed => JSON.parse(stdout) as Printed;

describe("replay", () => {
  it("asks for every policy with each share of the neurons, and prints a row for each", async () => {
    const { code, asked, stdout, stderr } = await start({ file: "t.trace" });
    expect([code, stderr]).toEqual([0, ""]);
    expect(asked.map(({ policies, slots }) => [...policies, ...slots])).toEqual(REPLAY_POLICIES.flatMap((policy) => [60, 150, 300].map((slots) => [policy, slots])));
    for (const request of asked) expect(request).toMatchObject({ keys: 3 * 5 * 40, windowTokens: 5, outcomes: true });
    expect(asked[0]!.trace.filter((key) => key === END_OF_TOKEN)).toHaveLength(12);
    expect(stdout).toMatch(/^t\.trace: 12 tokens, \d+ look-ups of 600 neurons \(3 layers of 5 experts of 40\)\n\npolicy +slots +of the neurons +found +simulator +equal +engine M\/s +simulator M\/s\nlru +60 +10\.0% +(\d+\.\d)% +\1% +yes +\S+ +\S+\n/);
    expect(stdout).toContain("\nengine and simulator agree on every look-up\n");
  });

  it("takes policies, shares and numbers of slots, each once, and a window", async () => {
    const { asked } = await start({ file: "t.trace", policy: "window,belady,window", slots: "60,10%,7", window: "2" });
    expect(asked.map(({ policies, slots, windowTokens }) => [...policies, ...slots, windowTokens])).toEqual([["window", 60, 2], ["window", 7, 2], ["belady", 60, 2], ["belady", 7, 2]]);
  });

  it("replays the text that comes along where none is named", async () => {
    const { code, stdout } = await start({ format: "json", policy: "lru" }, { files: { "/m/a.trace": TRACE }, shippedModels: ["/m/a.gguf"] });
    expect([code, printed(stdout)]).toEqual([0, expect.objectContaining({ file: "/m/a.trace", keys: 600, agree: true })]);
    expect(await start({})).toMatchObject({ code: 2, stderr: "neuronlab replay: 1 mistake\n  FILE: no model came along; name an activation trace as neuronlab record writes it\n" });
  });

  it("looks up experts where all neurons are active", async () => {
    const dense = Buffer.from(writeSlow({ layers: 1, experts: 4, active: 2, ffn: 8, neuronsRecorded: false }, [[[[0, []], [3, []]]], [[[0, []], [2, []]]]])).toString("latin1");
    const { asked, stdout } = await start({ file: "d.trace", policy: "lru,static-hot", slots: "2", format: "json" }, { files: { "d.trace": dense } });
    expect([...asked[0]!.trace]).toEqual([0, 3, END_OF_TOKEN, 0, 2, END_OF_TOKEN]);
    // Copied for the policy that reads it, and for no other.
    expect([asked[0]!.heat, [...asked[1]!.heat!]]).toEqual([null, [1, 0, 0.5, 0.5]]);
    expect(printed(stdout)).toMatchObject({ what: "experts", keys: 4, lookUps: 4, rows: [{ hits: 1, misses: 3, hitRate: 0.25, lookUpsPerSec: 8, simulator: { hits: 1, hitRate: 0.25 }, differsAt: null }, { policy: "static-hot" }] });
  });

  it("refuses a header that claims more neurons than there is room for, before any is made", async () => {
    const huge = Buffer.from(writeSlow({ layers: 127, experts: 1, active: 1, ffn: 2 ** 24 }, [Array.from({ length: 127 }, () => [[0, []] as const])])).toString("latin1");
    const { code, asked, stderr } = await start({ file: "h.trace", slots: "10" }, { files: { "h.trace": huge } });
    expect([code, asked]).toEqual([3, []]);
    expect(stderr).toBe("h.trace: its header tells of 2130706432 neurons; replay takes traces of 67108864 at most, for the tables that caches keep of every one\n");
    expect(MOST_TRACE_KEYS).toBeLessThan(MOST_KEYS);
    const wide = Buffer.from(writeSlow({ layers: 1, experts: 4096, active: 4096, ffn: 2 ** 24 }, [[Array.from({ length: 4096 }, (_, expert) => [expert, []] as const)]])).toString("latin1");
    expect(await start({ file: "w.trace" }, { files: { "w.trace": wide } })).toMatchObject({ code: 2, stderr: expect.stringContaining("neurons of the experts in use: 68719476736; should be from 1 to 268435456") as unknown });
  });

  it("says where the two disagree, and that it is our fault", async () => {
    const erring: Engine["replay"] = (request) => {
      const row = rowOf(request);
      // The first look-up after the first token's end.
      const place = request.trace.indexOf(END_OF_TOKEN) + 1;
      row.outcomes![place] = 1 - row.outcomes![place]!;
      return TE.right({ rows: [request.policies[0] === "arc" ? row : rowOf(request)] });
    };
    const { code, asked, stdout } = await start({ file: "t.trace", policy: "lru,arc", slots: "50%" }, { replay: erring });
    const at = asked[0]!.trace.indexOf(END_OF_TOKEN);
    expect(code).toBe(70);
    expect(stdout).toMatch(/\narc .* NO +/);
    expect(stdout).toMatch(/\nlru .* yes +/);
    expect(stdout).toContain(`\nengine and simulator disagree in 1 of 2 rows: our fault; please report it\n  arc, 300 slots: first at look-up ${at}\n`);
    const json = await start({ file: "t.trace", policy: "arc", slots: "50%", format: "json" }, { replay: erring });
    expect([json.code, printed(json.stdout).agree, printed(json.stdout).rows[0]!.differsAt]).toEqual([70, false, at]);
    expect(json.stderr).toContain("disagree in 1 of 1 rows");
    const miscounting: Engine["replay"] = (request) => TE.right({ rows: [{ ...rowOf(request), hits: 0 }] });
    expect((await start({ file: "t.trace", policy: "lru" }, { replay: miscounting })).code).toBe(70);
  });

  it("tells all mistakes at once and starts nothing", async () => {
    const { code, asked, stderr } = await start({ file: "t.trace", policy: "lru,lrv", slots: "0", window: "none" });
    expect([code, asked]).toEqual([2, []]);
    expect(stderr).toBe(
      "neuronlab replay: 3 mistakes\n" +
        "  --policy: should be one of lru, window, static-hot, clock, lfu, s3-fifo, sieve, arc, belady, got \"lrv\"; did you mean lru?\n" +
        "  --slots: write it like 10%, or as a number of slots, at least 1; got 0\n" +
        "  --window: should be a whole number between 1 and 1048576, got none\n",
    );
    expect((await start({ file: "t.trace", slots: "10%,0.1%" })).stderr).toBe("neuronlab replay: 1 mistake\n  --slots: 0.1% of 600 neurons is less than one; give more\n");
    expect((await start({ file: "t.trace", slots: "120%" })).stderr).toContain("--slots: should be between 0% and 100%, got 120%");
    const both = await start({ file: "t.trace", slots: "" }, { files: { "t.trace": TRACE.slice(0, 300) } });
    expect([both.code, both.stderr]).toEqual([2, expect.stringMatching(/--slots: has no value; .*\nt\.trace: 1 mistake\n {2}\(whole\): is no sound activation trace/)]);
  });

  it("passes on what the engine answers", async () => {
    expect(await start({ file: "t.trace" }, { replay: () => TE.right(null) })).toMatchObject({ code: 0, stdout: "", stderr: "interrupted\n" });
    expect(await start({ file: "t.trace" }, { replay: () => TE.left(badInput("engine.replay", [{ path: "trace", message: "wrong" }])) })).toMatchObject({ code: 2, stdout: "", stderr: "engine.replay: 1 mistake\n  trace: wrong\n" });
    const f = fake({ files: { "t.trace": TRACE } });
    expect(await execute(replayProgram(commandNamed("replay"))(given({ file: "t.trace" })), f.capabilities)).toBe(3);
  });
});

const built = existsSync(bindingPath());

describe.skipIf(!built)(`replay of the text that comes along${built ? "" : " (SKIPPED: the native module is absent; run npm run build:engine)"}`, () => {
  it("finds the same in the engine's caches as in the simulator's, by every policy", async () => {
    const trace = readFileSync(`${SHIPPED}.trace`, "latin1");
    const { code, asked, stdout } = await start({ format: "json", slots: "10%,1000" }, { replay: engine.replay, files: { [`${SHIPPED}.trace`]: trace }, shippedModels: [`${SHIPPED}.gguf`] });
    const { agree, keys, lookUps, rows } = printed(stdout);
    expect([code, agree, keys, rows.length]).toEqual([0, true, 18_432, 2 * REPLAY_POLICIES.length]);
    const best = rows.find(({ policy }) => policy === "belady")!;
    for (const row of rows) {
      expect(row.hits + row.misses, row.policy).toBe(lookUps);
      expect(row.hits, row.policy).toBe(row.simulator.hits);
      expect(row.hits, row.policy).toBeGreaterThan(0);
      expect(row.hitRate, row.policy).toBeLessThanOrEqual(best.hitRate);
      expect(row.lookUpsPerSec, row.policy).toBeGreaterThan(1e5);
    }
    // LRU by hand: a map keeps its keys in the order in which they were set.
    const held = new Map<number, true>();
    let hits = 0;
    for (const key of asked[0]!.trace) {
      if (key === END_OF_TOKEN) continue;
      if (held.delete(key)) hits++;
      else if (held.size === 1843) held.delete(held.keys().next().value!);
      held.set(key, true);
    }
    expect(rows[0]).toMatchObject({ policy: "lru", slots: 1843, hits });
  }, 60_000);
});
