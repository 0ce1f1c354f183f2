import { readFileSync, readdirSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { decode } from "../../sim/base/decode.js";
import { sweepCodec } from "../../sim/sweep/declaration.js";
import { cutToOneToken } from "../../site/build/one-token.js";
import { SLIDERS } from "../../site/phone/controls.js";
import { documents, names } from "../../site/phone/documents.js";
import { TOKENS, declarationOf, runOf, tokenOf } from "../../site/phone/run.js";
import { LIMITS, NUMBERS, START, stateOf, textOf, type State } from "../../site/phone/state.js";
import { terminalOf } from "../../site/phone/terminal.js";

const aNumber = (name: (typeof NUMBERS)[number]): fc.Arbitrary<number | null> => {
  const { low, high, whole } = LIMITS[name];
  return fc.option(whole ? fc.integer({ min: low, max: high }) : fc.double({ min: low, max: high, noNaN: true }));
};
const aState: fc.Arbitrary<State> = fc.record({
  device: fc.constantFrom(...names.device), model: fc.constantFrom(...names.model), system: fc.constantFrom(...names.system), fidelity: fc.constantFrom("cluster" as const, "analytic" as const),
  memory: aNumber("memory"), hot: aNumber("hot"), cluster: aNumber("cluster"), depth: aNumber("depth"), lanes: aNumber("lanes"), active: aNumber("active"), flash: aNumber("flash"),
});

describe("the state of the page", () => {
  it("comes back from the address as it was", () => {
    fc.assert(fc.property(aState, (state) => {
      const read = stateOf(`#${textOf(state)}`, names);
      expect(read.ignored).toEqual([]);
      expect({ ...read.state, hot: (read.state.hot ?? 0) + 0 }).toEqual({ ...state, hot: (state.hot ?? 0) + 0 });
    }), { seed: 7 });
  });

  it("is never out of bounds, whatever an address says", () => {
    fc.assert(fc.property(fc.string(), (text) => {
      const { state } = stateOf(text, names);
      for (const name of NUMBERS) if (state[name] !== null) expect(state[name] >= LIMITS[name].low && state[name] <= LIMITS[name].high).toBe(true);
      expect(names.device).toContain(state.device);
    }), { seed: 7 });
  });

  it("is a declaration that neuronlab sweep takes", () => {
    fc.assert(fc.property(aState, (state) => {
      expect(decode(sweepCodec, "phone.json")(JSON.parse(JSON.stringify(declarationOf(state))))._tag).toBe("Right");
    }), { seed: 7, numRuns: 50 });
  });

  it("every step of every slider lies within what an address may say", () => {
    for (const { name, steps } of SLIDERS) for (const step of steps) expect(stateOf(`${name}=${step}`, names).ignored).toEqual([]);
    expect(SLIDERS.map(({ name }) => name).sort()).toEqual([...NUMBERS].sort());
  });

  it("knows every profile that ships", () => {
    for (const [kind, folder] of [["device", "devices"], ["model", "models"], ["system", "systems"]] as const)
      expect(names[kind]).toEqual(readdirSync(folder).filter((file) => file.endsWith(".json") && file !== "this-host.json").map((file) => file.slice(0, -5)).sort());
    expect(documents.device["oneplus-12"]).toEqual(JSON.parse(readFileSync("devices/oneplus-12.json", "utf8")));
  });
});

describe("a record that is kept", () => {
  it("is cut to its middle token, which then begins at zero; the rest of the record stays", () => {
    const span = (token: number, startNs: number) => ({ lane: "npu", what: "head", startNs, endNs: startNs + 5, token, layer: 0, critical: null });
    const record = { schema: "neuronlab/run@1", origin: "measured", tokensPerSec: 3, lanes: [], inputs: {}, tokens: [{}, {}], spans: [span(-1, 0), span(4, 10), span(5, 20), span(5, 26), span(6, 40)] };
    const cut = JSON.parse(cutToOneToken(JSON.stringify(record))!) as typeof record;
    expect(cut).toEqual({ ...record, tokens: [], spans: [span(5, 0), span(5, 6)] });
    expect(cutToOneToken("{}")).toBeNull();
  });
});

describe("a run of the page", () => {
  const run = runOf(documents);

  it("ends in a run or in words, on every phone with every system", () => {
    for (const device of names.device) for (const system of names.system) {
      const outcome = run({ ...START, device, system, model: "bamboo-7b", fidelity: "analytic" });
      if (E.isRight(outcome)) expect(outcome.right.record.tokensPerSec).toBeGreaterThan(0);
      else expect(["DoesNotFit", "Unsupported", "BadInput"]).toContain(outcome.left._tag);
    }
  });

  it("shows in its token what the whole run takes for one", () => {
    const outcome = run({ ...START, model: "bamboo-7b", memory: 3 });
    const traced = E.isRight(outcome) ? tokenOf(outcome.right) : outcome;
    if (E.isLeft(outcome) || E.isLeft(traced)) throw new Error("no run");
    const end = traced.right.spans.reduce((last, { endNs }) => Math.max(last, endNs), 0) / 1e6;
    expect(outcome.right.record.tokens).toHaveLength(TOKENS);
    expect(end).toBeGreaterThan(outcome.right.record.msPerToken.mean / 2);
    expect(end).toBeLessThan(outcome.right.record.msPerToken.max * 1.5);
  });

  it("says plain flags where they are enough, and offers the whole declaration where they are not", () => {
    expect(terminalOf(START)).toEqual({ command: "neuronlab simulate --tokens 32", file: null });
    expect(terminalOf({ ...START, model: "bamboo-7b", memory: 3.25, fidelity: "analytic" }).command).toBe("neuronlab simulate --model bamboo-7b --memory 3.25GiB --tokens 32 --fidelity analytic");
    expect(terminalOf({ ...START, lanes: 2 })).toMatchObject({ command: "neuronlab sweep phone.json", file: { name: "phone.json" } });
  });
});
