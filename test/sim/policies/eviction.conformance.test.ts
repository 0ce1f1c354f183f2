import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { evictionPolicies, type EvictionPolicy, type EvictionState } from "../../../sim/policies/eviction/index.js";
import { arbRequests, type Requests } from "../../arb/neurons.js";
import { evictionSlow } from "./eviction-slow.js";

/** A claim about all request sequences. */
const always = (claim: (requests: Requests) => void): void => fc.assert(fc.property(arbRequests, (requests) => { claim(requests); }), { seed: 20240610, numRuns: 400 });

interface Replay { readonly hits: ReadonlyArray<boolean>; readonly misses: number; readonly evicted: ReadonlyArray<number> }

type Watch = (state: EvictionState, thing: number, hit: boolean) => void;

const replay = (start: EvictionPolicy["start"], { things, slots, windowTokens, heat, tokens }: Requests, watch: Watch = () => {}): Replay => {
  const evicted: Array<number> = [];
  const hits: Array<boolean> = [];
  const state = start({ things, slots, windowTokens, heat, future: tokens.flat(), onEvict: (thing) => evicted.push(thing) });
  for (const token of tokens) {
    for (const thing of token) {
      hits.push(state.request(thing));
      watch(state, thing, hits.at(-1)!);
    }
    const before = evicted.length;
    state.endToken();
    // What leaves at the end of a token leaves together: the order is free.
    evicted.push(...evicted.splice(before).sort((a, b) => a - b));
  }
  return { hits, misses: hits.filter((hit) => !hit).length, evicted };
};

/** The contract, checked at every step. */
const watched = (start: EvictionPolicy["start"], { things, slots, windowTokens, heat, tokens }: Requests): void => {
  let dropped: Array<number> = [];
  const state = start({ things, slots, windowTokens, heat, future: tokens.flat(), onEvict: (thing) => dropped.push(thing) });
  const resident = (): Array<number> => Array.from({ length: things }, (_, thing) => thing).filter(state.isResident);
  const step = (act: () => void, admitted: () => ReadonlyArray<number>): void => {
    const before = resident();
    dropped = [];
    act();
    const after = resident();
    expect(dropped.every((thing) => before.includes(thing)), "drops only what is resident").toBe(true);
    expect(after).toEqual([...before.filter((thing) => !dropped.includes(thing)), ...admitted()].sort((a, b) => a - b));
    expect([state.size(), after.length <= slots]).toEqual([after.length, true]);
  };
  for (const token of tokens) {
    for (const thing of token) {
      const before = state.isResident(thing);
      let hit = false;
      step(() => (hit = state.request(thing)), () => (!before && state.isResident(thing) ? [thing] : []));
      expect([hit, hit && dropped.length > 0]).toEqual([before, false]);
    }
    step(state.endToken, () => []);
  }
};

describe.each(evictionPolicies.all)("eviction policy $name", (policy) => {
  it("hits exactly what is resident, drops only what is resident, and never holds more than its slots", () => {
    always((requests) => watched(policy.start, requests));
  });

  it("decides as its slow, obvious twin does", () => {
    const twin = evictionSlow[policy.name];
    expect(twin).toBeDefined();
    always((requests) => expect(replay(policy.start, requests)).toEqual(replay(twin, requests)));
  });

  it("evicts nothing as long as no token ends and everything fits", () => {
    always((requests) => {
      const once = { ...requests, slots: requests.things, tokens: requests.tokens.slice(0, 1) };
      expect(replay(policy.start, once).evicted).toEqual([]);
    });
  });

  it("misses everything without a slot", () => {
    always((requests) => {
      const none = replay(policy.start, { ...requests, slots: 0 });
      expect(none.misses).toBe(none.hits.length);
    });
  });

  it("replays the same way twice", () => {
    always((requests) => expect(replay(policy.start, requests)).toEqual(replay(policy.start, requests)));
  });

  it("never misses less than belady", () => {
    const belady = evictionPolicies.all.find((candidate) => candidate.name === "belady")!;
    always((requests) => expect(replay(policy.start, requests).misses).toBeGreaterThanOrEqual(replay(belady.start, requests).misses));
  });

  it.runIf(policy.admitsAlways)("holds what was just asked for", () => {
    always((requests) => {
      replay(policy.start, requests, (state, thing) => expect(state.isResident(thing)).toBe(requests.slots > 0));
    });
  });

  it.runIf(policy.moreNeverMissesMore)("never misses more with one slot more", () => {
    always((requests) => {
      expect(replay(policy.start, { ...requests, slots: requests.slots + 1 }).misses).toBeLessThanOrEqual(replay(policy.start, requests).misses);
    });
  });
});

describe("what tells the policies apart", () => {
  const scan = (slots: number): Requests => ({ things: 8, slots, windowTokens: 2, heat: [8, 7, 6, 5, 4, 3, 2, 1], tokens: Array.from({ length: 10 }, () => [0, 1, 2, 3, 4, 5, 6, 7]) });
  const missesOf = (name: string, requests: Requests): number => replay(evictionPolicies.all.find((policy) => policy.name === name)!.start, requests).misses;

  it("a cyclic scan one larger than the cache hits nothing under lru, and seven of eight under a fixed choice", () => {
    expect(missesOf("lru", scan(7))).toBe(80);
    expect(missesOf("static-hot", scan(7))).toBe(8 + 9);
    expect(missesOf("lru", scan(8))).toBe(8);
  });

  it("a window forgets what lru, with room, still holds", () => {
    const rare: Requests = { things: 3, slots: 3, windowTokens: 2, heat: [1, 1, 1], tokens: [[0], [1], [2], [0]] };
    expect(missesOf("window", rare)).toBe(4);
    expect(missesOf("lru", rare)).toBe(3);
  });

  it("belady refuses to replay requests other than those foreseen", () => {
    const belady = evictionPolicies.all.find((policy) => policy.name === "belady")!;
    const state = belady.start({ things: 3, slots: 1, windowTokens: 1, heat: [1, 1, 1], future: [0, 1], onEvict: () => {} });
    state.request(0);
    expect(() => state.request(2)).toThrow("request 1 is not the one foreseen: got 2, expected 1");
  });

  it("an unknown name is answered with the nearest known one", () => {
    const found = evictionPolicies.find("lrv");
    expect(E.isLeft(found) && found.left).toMatchObject({ _tag: "UnknownName", nearest: "lru" });
  });
});
