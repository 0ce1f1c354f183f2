/** The engine's caches through its one TypeScript face, beside the simulator's policies. Needs the native module: npm run build:engine. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { stream } from "../../sim/base/random.js";
import { describeError, exitCode } from "../../sim/base/errors.js";
import { END_OF_TOKEN, type TraceKeys } from "../../sim/neurons/trace-keys.js";
import { evictionPolicies } from "../../sim/policies/eviction/index.js";
import { replayThrough } from "../../sim/policies/eviction/replay.js";
import { bindingPath } from "../../engine/binding.js";
import { END_TOKEN, OUTCOMES, REPLAY_POLICIES, engine, type ReplayReport, type ReplayRequest, type ReplayStep } from "../../engine/index.js";
import { readVectors } from "../vectors/eviction.js";

const built = existsSync(bindingPath());
const quiet = { onStep: () => undefined };
const VECTORS = new URL("../vectors/", import.meta.url);

const asking: ReplayRequest = { policies: ["lru"], slots: [2], keys: 4, trace: Uint32Array.of(0, 1, 0, 2, 1, END_TOKEN), heat: null, windowTokens: 2, outcomes: true };

const replayed = async (request: ReplayRequest): Promise<ReplayReport> => {
  const outcome = await engine.replay(request, quiet)();
  if (E.isLeft(outcome)) throw new Error(describeError(outcome.left));
  if (outcome.right === null) throw new Error("it was cancelled");
  return outcome.right;
};

/** As vectors write it. */
const letters = (outcomes: Uint8Array | undefined): string => Array.from(outcomes ?? [], (outcome) => "01-"[outcome] ?? "?").join("");

/** Keys of falling heat, some of the last token's again, tokens of very different lengths. */
const drawn = (seed: number, keys: number, tokens: number): TraceKeys => {
  const random = stream(seed, "test/cache-replay");
  const requests: Array<number> = [];
  let before: ReadonlyArray<number> = [];
  for (let token = 0; token < tokens; token++) {
    const wanted = Array.from({ length: Math.floor(keys * 0.4 * random.uniform() ** 2) }, () => (random.uniform() < 0.3 && before.length > 0 ? before[Math.floor(random.uniform() * before.length)]! : Math.floor(keys * random.uniform() ** 2)));
    requests.push(...wanted, END_OF_TOKEN);
    before = wanted;
  }
  const all = Uint32Array.from(requests);
  const heat = Float64Array.from({ length: keys }, () => Math.round(8 * random.uniform()) / 8);
  return { what: "neurons", keys, requests: all, lookUps: all.filter((key) => key !== END_OF_TOKEN), heat };
};

describe.skipIf(!built)(`the engine's caches${built ? "" : " (SKIPPED: the native module is absent; run npm run build:engine)"}`, () => {
  it("have the simulator's policies, mark of a token's end and numbers of outcomes", async () => {
    expect([...REPLAY_POLICIES].sort()).toEqual([...evictionPolicies.names].sort());
    expect(END_TOKEN).toBe(END_OF_TOKEN);
    const [row] = (await replayed(asking)).rows;
    expect([...row!.outcomes!]).toEqual([OUTCOMES.miss, OUTCOMES.miss, OUTCOMES.hit, OUTCOMES.miss, OUTCOMES.miss, OUTCOMES.endToken]);
    expect(row).toMatchObject({ policy: "lru", slots: 2, hits: 1, misses: 4, evictions: 2, declined: 0 });
  });

  it("find what the shared vectors of both sides say, look-up by look-up", async () => {
    const files = readdirSync(VECTORS).filter((file) => /^eviction-.*\.jsonl$/.test(file));
    expect(files).toHaveLength(2 * REPLAY_POLICIES.length);
    for (const { policy, situation, slots, windowTokens, heat, steps, outcome, evicted } of files.flatMap((file) => readVectors(readFileSync(new URL(file, VECTORS), "utf8")))) {
      const { rows: [row] } = await replayed({ policies: [policy as ReplayRequest["policies"][number]], slots: [slots], keys: heat.length, trace: Uint32Array.from(steps, (step) => (step < 0 ? END_TOKEN : step)), heat: Float64Array.from(heat), windowTokens, outcomes: true });
      expect(letters(row!.outcomes), `${policy}: ${situation}`).toBe(outcome);
      expect(row!.evictions, `${policy}: ${situation}`).toBe(evicted.reduce((sum, [, ...dropped]) => sum + dropped.length, 0));
    }
  });

  it.each(evictionPolicies.all)("find what the simulator's $name finds of texts at random, with any number of slots", async (policy) => {
    for (const [seed, keys, tokens] of [[1, 17, 60], [2, 300, 80], [3, 4000, 60]] as const) {
      const text = drawn(seed, keys, tokens);
      const slots = [1, 2, Math.floor(keys / 10), Math.floor(keys / 3), keys - 1, keys, keys + 7];
      const { rows } = await replayed({ policies: [policy.name as ReplayRequest["policies"][number]], slots, keys, trace: text.requests, heat: text.heat, windowTokens: 3, outcomes: true });
      for (const [place, count] of slots.entries()) {
        const twin = replayThrough(policy, text, { slots: count, windowTokens: 3 });
        expect(rows[place], `seed ${seed}, ${count} slots`).toMatchObject({ policy: policy.name, slots: count, hits: twin.hits, misses: twin.misses });
        expect(Buffer.compare(rows[place]!.outcomes!, twin.outcomes), `seed ${seed}, ${count} slots`).toBe(0);
      }
    }
  });

  it("do not see what is written into the trace and the heat while they replay", async () => {
    const { requests, keys, heat } = drawn(4, 20_000, 400);
    const [trace, warm] = [requests.slice(), heat.slice()];
    const running = engine.replay({ policies: ["static-hot", "lru"], slots: [500], keys, trace, heat: warm, windowTokens: 3, outcomes: true }, quiet)();
    await new Promise((turned) => setImmediate(turned));
    trace.fill(0);
    warm.fill(0);
    const meanwhile = await running;
    const undisturbed = await replayed({ policies: ["static-hot", "lru"], slots: [500], keys, trace: requests, heat, windowTokens: 3, outcomes: true });
    if (E.isLeft(meanwhile)) throw new Error(describeError(meanwhile.left));
    expect(meanwhile.right?.rows).toHaveLength(2);
    for (const [place, { hits, outcomes }] of undisturbed.rows.entries()) {
      expect(meanwhile.right?.rows[place]).toMatchObject({ hits });
      expect(Buffer.compare(meanwhile.right!.rows[place]!.outcomes!, outcomes!)).toBe(0);
    }
  });

  it("answer policy by policy, slots by slots, with outcomes only where they are asked for, and say how long it took", async () => {
    const { requests, keys } = drawn(5, 2000, 600);
    const { rows } = await replayed({ policies: ["sieve", "lru"], slots: [1500, 20], keys, trace: requests, heat: null, windowTokens: 3, outcomes: false });
    expect(rows.map(({ policy, slots }) => [policy, slots])).toEqual([["sieve", 1500], ["sieve", 20], ["lru", 1500], ["lru", 20]]);
    for (const row of rows) {
      expect(row).not.toHaveProperty("outcomes");
      expect(row.seconds).toBeGreaterThan(0);
      expect(row.seconds).toBeLessThan(10);
      expect(row.preparationSeconds).toBeGreaterThanOrEqual(0);
    }
    const empty = await replayed({ ...asking, policies: ["belady"], trace: new Uint32Array(0) });
    expect(empty.rows[0]).toMatchObject({ hits: 0, misses: 0 });
  });

  it("tell how far they are, leave the main thread free, and end soon after they are cancelled", async () => {
    const keys = 3000;
    const random = stream(6, "test/cache-replay");
    const trace = Uint32Array.from({ length: 2_000_000 }, () => Math.floor(keys * random.uniform()));
    const request: ReplayRequest = { ...asking, policies: ["lfu", "arc", "lru"], slots: [300, 600, 900, 1200], keys, trace, outcomes: false };
    const steps: Array<ReplayStep> = [];
    let turns = 0;
    const turning = setInterval(() => turns++, 1);
    const whole = await engine.replay(request, { onStep: (step) => steps.push(step) })();
    clearInterval(turning);
    expect(E.isRight(whole) && whole.right?.rows).toHaveLength(12);
    expect(turns).toBeGreaterThan(3);
    expect(steps.length).toBeGreaterThan(2);
    expect(steps.every(({ done, total }, place) => total === 12 * trace.length && done <= total && (place === 0 || done >= steps[place - 1]!.done))).toBe(true);
    const cancelling = new AbortController();
    let heard = 0;
    const cut = await engine.replay({ ...request, slots: Array.from({ length: 1000 }, (_, more) => 300 + more) }, { signal: cancelling.signal, onStep: () => (heard++, cancelling.abort()) })();
    expect([cut, heard > 0]).toEqual([E.right(null), true]);
    expect(await engine.replay(request, { ...quiet, signal: AbortSignal.abort() })()).toEqual(E.right(null));
  });

  it.each<readonly [string, Partial<Record<keyof ReplayRequest, unknown>>, string]>([
    ["a key beyond the others", { trace: Uint32Array.of(0, 1, 4) }, "trace: key out of range at place 2 of the trace: 4; keys are below 4"],
    ["a policy that nobody knows", { policies: ["lru", "lrv"] }, "policies: should be one of lru, window, static-hot, clock, lfu, s3-fifo, sieve, arc, belady, got lrv"],
    ["less than no slots", { slots: [2, -1] }, "slots: should be a whole number between 0 and 2147479552, got -1"],
    ["half a slot", { slots: [0.5] }, "slots: should be a whole number between 0 and 2147479552, got 0.5"],
    ["more keys than can be numbered", { keys: 2 ** 31 - 4095 }, "keys: should be a whole number between 1 and 2147479552, got 2147479553"],
    ["no keys", { keys: 0 }, "keys: should be a whole number between 1 and 2147479552, got 0"],
    ["no number of keys", { keys: NaN }, "keys: should be a whole number between 1 and 2147479552, got NaN"],
    ["a window of less than nothing", { windowTokens: -1 }, "windowTokens: should be a whole number between 0 and 2147479552, got -1"],
    ["no heat for a fixed choice", { policies: ["static-hot"] }, "heat: wrong number of heats: 0; one for each of 4 keys"],
    ["heat of other keys", { policies: ["static-hot"], heat: Float64Array.of(1, 2, 3) }, "heat: wrong number of heats: 3; one for each of 4 keys"],
    ["heat that is no number", { policies: ["static-hot"], heat: Float64Array.of(1, 2, NaN, 3) }, "heat: heat of key 2 is not finite; a share of tokens would be right"],
  ])("refuse %s", async (_, wrong, says) => {
    const outcome = await engine.replay({ ...asking, ...wrong } as ReplayRequest, quiet)();
    if (E.isRight(outcome)) throw new Error("it worked");
    expect([exitCode(outcome.left), describeError(outcome.left)]).toEqual([2, `engine.replay: 1 mistake\n  ${says}`]);
  });

  it("refuse heat of other keys before any policy has begun", async () => {
    let heard = 0;
    const trace = new Uint32Array(1 << 21);
    const outcome = await engine.replay({ ...asking, policies: ["lru", "static-hot"], trace, heat: Float64Array.of(1, 2, 3), outcomes: false }, { onStep: () => heard++ })();
    expect([E.isLeft(outcome) && describeError(outcome.left), heard]).toEqual(["engine.replay: 1 mistake\n  heat: wrong number of heats: 3; one for each of 4 keys", 0]);
  });

  it("refuse more keys than the system has memory for, and an array of another kind, without an end to the process", async () => {
    const rows = Array.from({ length: 60_000 }, () => 1);
    const outcome = await engine.replay({ ...asking, keys: 2 ** 31 - 4096, slots: rows, trace: new Uint32Array(1 << 24) }, quiet)();
    if (E.isRight(outcome)) throw new Error("it worked");
    expect([exitCode(outcome.left), describeError(outcome.left)]).toEqual([3, expect.stringMatching(/^does not fit: needs \d+\.\d+GB, allowed .*outcomes take less\n(?: +\S+ {2}(?:outcomes|tables of a policy)\n?){2}$/)]);
    const other = await engine.replay({ ...asking, trace: Int32Array.of(0, 1) as unknown as Uint32Array }, quiet)();
    expect(E.isLeft(other) && other.left._tag).toBe("Fault");
  });
});
