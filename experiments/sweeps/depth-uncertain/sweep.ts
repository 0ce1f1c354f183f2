import type { Sweep } from "../../../sim/sweep/declaration.js";

/** Does what the sweep of pipeline depths shows still hold, should the facts that nobody measured be others? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "depth-uncertain",
  title: "Pipeline depth under uncertain facts: half of the FFN on flash, OnePlus 12",
  base: { offload: "50%", tokens: 32 },
  axes: [
    { name: "model", over: "model", values: ["bamboo-7b", "turbosparse-mixtral-47b"] },
    { name: "depth", over: "plan.pipeline.depth", values: [1, 4, 8, 32] },
  ],
  metrics: ["tokensPerSec"],
  claims: [
    { claim: "Bamboo-7B is at least a tenth faster with four clusters in flight than with one", holds: [">=", ["/", { at: { model: "bamboo-7b", depth: 4 } }, { at: { model: "bamboo-7b", depth: 1 } }], 1.1] },
    { claim: "the 47B is at least a tenth faster with four clusters in flight than with one", holds: [">=", ["/", { at: { model: "turbosparse-mixtral-47b", depth: 4 } }, { at: { model: "turbosparse-mixtral-47b", depth: 1 } }], 1.1] },
    { claim: "eight clusters in flight give Bamboo-7B 98 % of what thirty-two give", holds: [">=", ["/", { at: { model: "bamboo-7b", depth: 8 } }, { at: { model: "bamboo-7b", depth: 32 } }], 0.98] },
    { claim: "the 47B is fastest with 8 clusters in flight or fewer", holds: ["<=", { best: "larger", along: "depth", at: { model: "turbosparse-mixtral-47b" } }, 8] },
    { claim: "Bamboo-7B is fastest with exactly four clusters in flight", holds: ["=", { best: "larger", along: "depth", at: { model: "bamboo-7b" } }, 4] },
    { claim: "the 47B is faster with four clusters in flight than with eight", holds: [">", { at: { model: "turbosparse-mixtral-47b", depth: 4 } }, { at: { model: "turbosparse-mixtral-47b", depth: 8 } }] },
  ],
  uncertain: { draws: 64 },
  picture: { kind: "lines", title: "Decoding speed by clusters in flight, under uncertain facts", x: "depth", y: "tokensPerSec", panel: "model" },
};
