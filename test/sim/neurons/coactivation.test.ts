import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { falsePositivesAt, gateFiresOf, prediction, rowsRead } from "../../../sim/neurons/coactivation.js";

const SEED = { seed: 20240610 };
const share = fc.double({ min: 0.001, max: 0.999, noNaN: true });

describe("what the predictor lets in", () => {
  it("is what it finds and what it adds in vain; what it does not find is lost", () => {
    fc.assert(fc.property(share, share, share, (activeRate, recall, falsePositives) => {
      const p = prediction(activeRate, { recall, falsePositives });
      expect(p.predicted).toBeCloseTo(p.found + p.inVain, 12);
      expect(p.found + p.lost).toBeCloseTo(activeRate, 12);
      expect(p.predicted).toBeLessThanOrEqual(1);
    }), SEED);
  });

  it("gives back the share of gates that fire from which its false positives were derived", () => {
    fc.assert(fc.property(fc.double({ min: 0.001, max: 0.4, noNaN: true }), share, fc.double({ min: 0.5, max: 1, noNaN: true }), (activeRate, recall, gateFires) => {
      expect(gateFiresOf(activeRate, { recall, falsePositives: falsePositivesAt(activeRate, recall, gateFires) })).toBeCloseTo(gateFires, 9);
    }), SEED);
  });

  it("at the paper's 80 % and 15 % active means a predictor with 4 % false positives", () => {
    expect(falsePositivesAt(0.15, 0.95, 0.8)).toBeCloseTo(0.042, 3);
  });

  it("in LLM in a flash is three times the active neurons: 3 % active, 95 % recall, 7 % false positives", () => {
    const p = prediction(0.03, { recall: 0.95, falsePositives: 0.07 });
    expect(p.predicted / 0.03).toBeGreaterThan(2.5);
    expect(p.predicted / 0.03).toBeLessThan(3.5);
  });
});

describe("the rows that are read", () => {
  it("are never more in two phases than as a bundle, and equal when every gate fires", () => {
    fc.assert(fc.property(share, (gateFires) => {
      const rows = rowsRead(gateFires);
      expect(rows.twoPhase).toBeLessThanOrEqual(rows.bundle);
      expect(rows.twoPhaseWasted).toBeLessThanOrEqual(rows.bundleWasted);
      expect(rows.twoPhase - rows.twoPhaseWasted).toBeCloseTo(rows.bundle - rows.bundleWasted, 12);
    }), SEED);
    expect(rowsRead(1)).toEqual({ twoPhase: 3, bundle: 3, twoPhaseWasted: 0, bundleWasted: 0 });
  });
});
