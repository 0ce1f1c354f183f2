import type { EvictionPolicy } from "./eviction.js";

/** Keeps the hottest things by the model's statistics, each from its first use on, and never anything else. Ties go to the lower number. */
export const staticHot: EvictionPolicy = {
  name: "static-hot",
  admitsAlways: false,
  moreNeverMissesMore: true,
  start: ({ slots, things, heat }) => {
    const chosen = new Uint8Array(things);
    const byHeat = Array.from({ length: things }, (_, thing) => thing).sort((a, b) => heat[b] - heat[a] || a - b);
    for (const thing of byHeat.slice(0, slots)) chosen[thing] = 1;
    const resident = new Uint8Array(things);
    let size = 0;
    return {
      request: (thing) => {
        if (resident[thing] === 1) return true;
        if (chosen[thing] === 1) {
          resident[thing] = 1;
          size++;
        }
        return false;
      },
      endToken: () => {},
      isResident: (thing) => resident[thing] === 1,
      size: () => size,
    };
  },
};
