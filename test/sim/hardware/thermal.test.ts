import { describe, expect, it } from "vitest";
import { clockRatio, createThermal } from "../../../sim/hardware/thermal.js";
import { deviceNamed } from "../../arb/runs.js";

const { thermal } = deviceNamed("oneplus-12");
const { ambient, resistance, timeConstant, throttleStart, throttleFull, floor } = thermal;

describe("heat", () => {
  it("goes 63.2 % of the way to its steady state in one time constant, in one step or in many", () => {
    const watts = 5;
    const steady = ambient.value + watts * resistance.value;
    const expected = steady + (ambient.value - steady) / Math.E;
    const once = createThermal(thermal);
    once.step(watts, timeConstant.value);
    const often = createThermal(thermal);
    for (let i = 0; i < 1000; i++) often.step(watts, timeConstant.value / 1000);
    console.log(`after one time constant: expected ${expected}, got ${once.temperature()}, in a thousand steps ${often.temperature()}`);
    expect(once.temperature()).toBeCloseTo(expected, 9);
    expect(often.temperature()).toBeCloseTo(expected, 6);
  });
  it("cools as well, and remembers the hottest moment", () => {
    const heat = createThermal(thermal, 60);
    heat.step(0, timeConstant.value);
    expect(heat.temperature()).toBeCloseTo(ambient.value + (60 - ambient.value) / Math.E, 9);
    expect(heat.hottest()).toBe(60);
  });
});

describe("clocks", () => {
  it("are full up to the start of throttling, at the floor from its end, straight between", () => {
    expect(clockRatio(thermal, throttleStart.value)).toBe(1);
    expect(clockRatio(thermal, throttleFull.value)).toBe(floor.value);
    expect(clockRatio(thermal, throttleFull.value + 50)).toBe(floor.value);
    for (const beyond of [1e-6, 1, 2, 5]) expect(clockRatio(thermal, throttleFull.value + beyond)).toBe(floor.value);
    expect(clockRatio(thermal, (throttleStart.value + throttleFull.value) / 2)).toBeCloseTo((1 + floor.value) / 2, 12);
    expect(clockRatio(thermal, throttleStart.value + 1e-6)).toBeLessThan(1);
  });
});
