/**
 * Look-ups a second of the engine's caches through the face that Node has: Zipf draws over the neurons of a 47B model with slots for a tenth of them, as
 * the Rust bench has them (engine/crates/cache/examples/bench.rs). The first look-ups are compared with the simulator's caches.
 */
import { E } from "../../sim/base/fp.js";
import { describeError } from "../../sim/base/errors.js";
import { evictionPolicies } from "../../sim/policies/eviction/index.js";
import { replayThrough } from "../../sim/policies/eviction/replay.js";
import { engine, REPLAY_POLICIES, type ReplayRequest, type ReplayRow } from "../../engine/index.js";

const KEYS = 3_670_016;
const LOOK_UPS = 8_000_000;
const SLOTS = Math.floor(KEYS / 10);
const SKEW = 0.9;
const ROUNDS = 3;
const WINDOW_TOKENS = 8;
/** Of a policy in replay, million look-ups a second. */
const AIM = 20;

/** SplitMix, 53 bits a draw. */
const uniforms = (seed: number): (() => number) => {
  let state = BigInt(seed);
  const step = (bits: bigint, shift: bigint, factor: bigint): bigint => BigInt.asUintN(64, (bits ^ (bits >> shift)) * factor);
  return () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    const bits = step(step(state, 30n, 0xbf58476d1ce4e5b9n), 27n, 0x94d049bb133111ebn);
    return Number((bits ^ (bits >> 31n)) >> 11n) / 2 ** 53;
  };
};

/** How often each key is asked for; hot keys lie at random places, so that neighbours in the trace are not neighbours in memory. */
const zipfHeat = (): Float64Array => {
  const heat = Float64Array.from({ length: KEYS }, (_, rank) => (rank + 1) ** -SKEW);
  const sum = heat.reduce((all, one) => all + one, 0);
  const uniform = uniforms(3);
  for (let place = KEYS - 1; place > 0; place--) {
    const other = Math.floor(uniform() * (place + 1));
    [heat[place], heat[other]] = [heat[other]!, heat[place]!];
  }
  return heat.map((one) => one / sum);
};

/** Independent draws: no locality but the skew's, which is the hardest case for the tables. */
const drawn = (heat: Float64Array): Uint32Array => {
  let upTo = 0;
  const sums = heat.map((one) => (upTo += one));
  const starts = new Uint32Array(KEYS + 1);
  for (let part = 0, key = 0; part <= KEYS; part++) {
    while (key < KEYS && sums[key]! < part / KEYS) key++;
    starts[part] = key;
  }
  const uniform = uniforms(1);
  return Uint32Array.from({ length: LOOK_UPS }, () => {
    const draw = uniform();
    let key = starts[Math.floor(draw * KEYS)]!;
    while (key + 1 < KEYS && sums[key]! < draw) key++;
    return Math.min(key, KEYS - 1);
  });
};

/** One call; `seconds` are all of it by the clock, from here and back. */
const called = async (request: ReplayRequest): Promise<{ readonly row: ReplayRow; readonly seconds: number }> => {
  const began = performance.now();
  const outcome = await engine.replay(request, { onStep: () => undefined })();
  const seconds = (performance.now() - began) / 1e3;
  if (E.isLeft(outcome)) throw new Error(describeError(outcome.left));
  return { row: outcome.right!.rows[0]!, seconds };
};

const CHECKED = 200_000;

/** That what is timed is right: the simulator's caches on the beginning of the trace. */
const check = async (request: ReplayRequest): Promise<void> => {
  const trace = request.trace.subarray(0, CHECKED);
  const asked = { ...request, trace, slots: [CHECKED / 10], outcomes: true };
  const { row } = await called(asked);
  const policy = evictionPolicies.all.find(({ name }) => name === row.policy)!;
  const twin = replayThrough(policy, { what: "neurons", keys: KEYS, requests: trace, lookUps: trace, heat: request.heat! }, { slots: row.slots, windowTokens: request.windowTokens });
  if (Buffer.compare(row.outcomes!, twin.outcomes) !== 0) throw new Error(`${row.policy}: the engine's cache and the simulator's disagree`);
};

export const benchReplay = async (): Promise<void> => {
  const heat = zipfHeat();
  const trace = drawn(heat);
  const asking = { slots: [SLOTS], keys: KEYS, trace, heat, windowTokens: WINDOW_TOKENS, outcomes: false };
  const absent = await engine.replay({ ...asking, policies: [], trace: new Uint32Array(0) }, { onStep: () => undefined })();
  if (E.isLeft(absent)) {
    console.log(`  not run: ${describeError(absent.left)}`);
    return;
  }
  console.log(`  ${LOOK_UPS} look-ups of ${KEYS} keys, Zipf ${SKEW}, ${SLOTS} slots; million look-ups a second, best of ${ROUNDS}; aim ${AIM}`);
  console.log(`  ${"policy".padEnd(12)}${"found".padStart(8)}${"replay, on the processor".padStart(26)}${"aim".padStart(8)}${"whole call, by the clock".padStart(26)}${"s of preparation".padStart(18)}`);
  for (const policy of REPLAY_POLICIES) {
    const request: ReplayRequest = { ...asking, policies: [policy] };
    await check(request);
    let [best, bestCall, preparation, found] = [0, 0, Infinity, 0];
    for (let round = 0; round < ROUNDS; round++) {
      const { row, seconds } = await called(request);
      best = Math.max(best, LOOK_UPS / row.seconds / 1e6);
      bestCall = Math.max(bestCall, LOOK_UPS / seconds / 1e6);
      preparation = Math.min(preparation, row.preparationSeconds);
      found = row.hits / LOOK_UPS;
    }
    console.log(`  ${policy.padEnd(12)}${`${(100 * found).toFixed(1)}%`.padStart(8)}${best.toFixed(1).padStart(26)}${(best >= AIM ? "met" : "missed").padStart(8)}${bestCall.toFixed(1).padStart(26)}${preparation.toFixed(3).padStart(18)}`);
  }
};
