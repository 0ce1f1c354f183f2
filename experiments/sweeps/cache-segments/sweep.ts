import type { Sweep } from "../../../sim/sweep/declaration.js";

/** How much of the FFN cache should hold hot clusters, and how much single cold neurons? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "cache-segments",
  title: "Hot and cold segment of the neuron cache: 47B on a OnePlus 12",
  base: { tokens: 64 },
  axes: [
    { name: "memory", over: "memory", values: ["8GiB", "10GiB", "13GiB", "16GiB"] },
    { name: "hotShare", over: "plan.hotShare", range: { from: 0, to: 1, steps: 11 } },
  ],
  repetitions: 3,
  metrics: ["tokensPerSec", "cacheHitRate", "bytesReadPerToken"],
  picture: { kind: "lines", title: "Decoding speed by the share of the FFN cache that is the hot segment", x: "hotShare", y: "tokensPerSec", series: "memory" },
};
