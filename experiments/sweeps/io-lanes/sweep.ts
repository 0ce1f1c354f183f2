import type { Sweep } from "../../../sim/sweep/declaration.js";

/** Does it help that several threads read at once, and does the block of sequential reads matter? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "io-lanes",
  title: "I/O lanes and the block of sequential reads: Bamboo-7B, half of the FFN on flash, OnePlus 12",
  base: { model: "bamboo-7b", offload: "50%", tokens: 64 },
  axes: [
    { name: "lanes", over: "plan.io.lanes", values: [1, 2, 4, 8] },
    { name: "block", over: "plan.io.streamBlock", values: ["16KiB", "64KiB", "128KiB", "256KiB", "512KiB", "1MiB"] },
  ],
  repetitions: 3,
  metrics: ["tokensPerSec", "exposedIoShare"],
  picture: { kind: "heat", title: "Decoding speed by I/O lanes and block of sequential reads", x: "block", y: "lanes", colour: "tokensPerSec" },
};
