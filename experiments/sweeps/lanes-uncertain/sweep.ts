import type { Sweep } from "../../../sim/sweep/declaration.js";

/** Is one I/O lane still the best, should the facts that nobody measured be others? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "lanes-uncertain",
  title: "I/O lanes under uncertain facts: Bamboo-7B, half of the FFN on flash, OnePlus 12",
  base: { model: "bamboo-7b", offload: "50%", tokens: 32 },
  axes: [{ name: "lanes", over: "plan.io.lanes", values: [1, 2, 4, 8] }],
  metrics: ["tokensPerSec"],
  claims: [
    { claim: "one lane is the fastest", holds: ["=", { best: "larger", along: "lanes" }, 1] },
    { claim: "four lanes lose at least a quarter of the speed", holds: ["<=", ["/", { at: { lanes: 4 } }, { at: { lanes: 1 } }], 0.75] },
    { claim: "two lanes are slower than one", holds: ["<", ["-", { at: { lanes: 2 } }, { at: { lanes: 1 } }], 0] },
    { claim: "eight lanes are no slower than four, to a twentieth", holds: [">=", ["/", { at: { lanes: 8 } }, { at: { lanes: 4 } }], 0.95] },
  ],
  uncertain: { draws: 64 },
  picture: { kind: "lines", title: "Decoding speed by I/O lanes, under uncertain facts", x: "lanes", y: "tokensPerSec" },
};
