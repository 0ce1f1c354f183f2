import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sequentialReadBandwidth } from "../../../sim/hardware/flash.js";
import { createPageCache, faultInNs } from "../../../sim/hardware/page-cache.js";
import { deviceNamed } from "../../arb/runs.js";

const scan = (extents: number, each: number, capacity: number, rounds: number): ReadonlyArray<number> => {
  const cache = createPageCache(new Float64Array(extents).fill(each), capacity);
  return Array.from({ length: rounds }, () => {
    let read = 0;
    for (let extent = 0; extent < extents; extent++) read += cache.touch(extent);
    return read;
  });
};

describe("a page cache", () => {
  it("reads a file once when it fits, to the byte", () => expect(scan(10, 100, 1000, 4)).toEqual([1000, 0, 0, 0]));
  it("reads a cyclic scan anew each time when one byte is lacking", () => expect(scan(10, 100, 999, 4)).toEqual([1000, 1000, 1000, 1000]));
  it("lets an extent larger than itself pass through", () => {
    const cache = createPageCache(Float64Array.of(100, 10), 50);
    expect([cache.touch(1), cache.touch(0), cache.touch(0), cache.touch(1)]).toEqual([10, 100, 100, 0]);
  });
  it("never holds more than its capacity, nor forgets what it has just read", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 200 }), fc.array(fc.nat(11), { maxLength: 80 }), (sizes, capacity, touches) => {
        const cache = createPageCache(Float64Array.from(sizes), capacity);
        for (const touch of touches) {
          const extent = touch % sizes.length;
          const read = cache.touch(extent);
          expect(read === 0 || read === sizes[extent]).toBe(true);
          expect(cache.residentBytes()).toBeLessThanOrEqual(capacity);
          if (sizes[extent] <= capacity) expect(cache.touch(extent)).toBe(0);
        }
      }),
      { seed: 45 },
    );
  });
});

describe("faults", () => {
  const device = deviceNamed("oneplus-12");
  const window = device.pageCache.readAhead.value;
  it("cost by the window the longer of its read and of its mapping", () => {
    const readNs = window / sequentialReadBandwidth(device.flash, window);
    const expected = 10 * Math.max(readNs, device.pageCache.faultCost.value);
    console.log(`ten windows: expected ${expected}, got ${faultInNs(device, 10 * window)} ns`);
    expect(faultInNs(device, 10 * window)).toBeCloseTo(expected, 6);
    const cheap = { ...device, pageCache: { ...device.pageCache, faultCost: { ...device.pageCache.faultCost, value: 0 } } };
    expect(faultInNs(cheap, 10 * window)).toBeCloseTo(10 * readNs, 6);
  });
});
