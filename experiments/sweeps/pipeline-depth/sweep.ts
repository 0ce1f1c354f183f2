import type { Sweep } from "../../../sim/sweep/declaration.js";

/** How many clusters must be in flight before flash and cores are both busy? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "pipeline-depth",
  title: "Pipeline depth, half of the FFN on flash: OnePlus 12",
  base: { offload: "50%", tokens: 64 },
  axes: [
    { name: "model", over: "model", values: ["bamboo-7b", "turbosparse-mixtral-47b"] },
    { name: "neurons", over: "plan.cluster.neurons", values: [256, 1024, 4096] },
    { name: "depth", over: "plan.pipeline.depth", values: [1, 2, 4, 8, 16, 32, 64] },
  ],
  repetitions: 3,
  metrics: ["tokensPerSec", "exposedIoShare", "cpuUtilisation"],
  picture: { kind: "lines", title: "Decoding speed by clusters in flight", x: "depth", y: "tokensPerSec", series: "neurons", panel: "model" },
};
