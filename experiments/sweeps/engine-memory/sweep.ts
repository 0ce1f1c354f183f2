import type { EngineSweep } from "../../../sim/sweep/declaration.js";

/** What does memory buy on this machine, and what does reading while computing? Real runs of the model that comes along. */
export const sweep: EngineSweep = {
  schema: "neuronlab/sweep@1",
  id: "engine-memory",
  title: "Memory and overlap: the engine itself, the novels model, this machine's disk",
  program: "engine",
  pack: true,
  base: { prompt: "It was a fine morning, and the whole party", tokens: 65, temperature: 0.5, "ignore-end": true },
  axes: [
    { name: "memory", over: "memory", values: ["240MB", "245MB", "250MB", "255MB", "265MB"] },
    { name: "overlap", over: "overlap", values: ["none", "cluster"] },
  ],
  repetitions: 3,
  metrics: ["tokensPerSec", "exposedIoShare", "cacheHitRate", "bytesReadPerToken", "p99Latency", "peakResident"],
  picture: { kind: "lines", title: "Decoding speed by memory, measured", x: "memory", y: "tokensPerSec", series: "overlap" },
};
