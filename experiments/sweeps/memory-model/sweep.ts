import type { Sweep } from "../../../sim/sweep/declaration.js";

/** What does a gigabyte buy, for models from 7B to 47B? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "memory-model",
  title: "Memory and model: PowerInfer-2 on a OnePlus 12",
  base: { tokens: 64 },
  axes: [
    { name: "model", over: "model", values: ["bamboo-7b", "qwen2-7b-sparse", "prosparse-llama-2-13b", "turbosparse-mixtral-47b"] },
    { name: "memory", over: "memory", values: ["2GiB", "2.5GiB", "3GiB", "3.5GiB", "4GiB", "5GiB", "6GiB", "7GiB", "8GiB", "10GiB", "13GiB", "16GiB", "19GiB"] },
  ],
  repetitions: 3,
  metrics: ["tokensPerSec", "joulesPerToken", "bytesReadPerToken"],
  picture: { kind: "lines", title: "Decoding speed by what the process may hold", x: "memory", y: "tokensPerSec", series: "model", log: true },
};
