import type { Sweep } from "../../../sim/sweep/declaration.js";

/** Does it help that more threads read, and does the size of a block change that? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "io-lanes",
  title: "I/O lanes and the block of sequential reads: 47B in 13 GiB on a OnePlus 12",
  base: { memory: "13GiB", tokens: 64 },
  axes: [
    { name: "lanes", over: "plan.io.lanes", values: [1, 2, 4, 8] },
    { name: "block", over: "plan.io.streamBlock", values: ["64KiB", "128KiB", "256KiB", "512KiB", "1MiB"] },
  ],
  repetitions: 2,
  metrics: ["tokensPerSec", "exposedIoShare", "joulesPerToken"],
};
