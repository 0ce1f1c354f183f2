import type { Sweep } from "../../../sim/sweep/declaration.js";

/** How much of a layer should the NPU compute densely, when several sequences share its work? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "hot-batch",
  title: "Hot share and batch: Bamboo-7B held in memory, OnePlus 12",
  base: { model: "bamboo-7b", memory: "all", tokens: 64 },
  axes: [
    { name: "batch", over: "batch", values: [1, 2, 4, 8] },
    { name: "hotRows", over: "plan.npuShare", range: { from: 0, to: 1, steps: 11 } },
  ],
  repetitions: 3,
  metrics: ["tokensPerSec", "p99Latency"],
  aims: [{ metric: "tokensPerSec", better: "larger" }, { metric: "p99Latency", better: "smaller" }],
  picture: { kind: "lines", title: "Decoding speed of all sequences by the share of rows that the NPU computes", x: "hotRows", y: "tokensPerSec", series: "batch", log: true },
};
