import type { Sweep } from "../../../sim/sweep/declaration.js";

const HALF_TO_DOUBLE = { from: 0.5, to: 2, scale: "log" } as const;
const OTHER = "a phone that is otherwise a OnePlus 12, with half to double of this";

/** What of a phone decides how fast the 47B is, when half of what it needs lies on flash? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "phone-decides",
  title: "What of a phone decides 47B decode speed: OnePlus 12 with each part half to twice as good, 13 GiB",
  base: { memory: "13GiB", tokens: 32 },
  axes: [
    // The same draws of neurons in every run: what differs is the phone.
    { over: "seed", values: [1] },
    {
      sensitivity: "sobol", points: 128,
      axes: [
        { name: "random reads", over: ["device.flash.random[].rate", "device.cpu.clusters[].flashRandom4k"], as: "factor", range: HALF_TO_DOUBLE, whatIf: OTHER },
        { name: "sequential reads", over: "device.flash.sequential[].rate", as: "factor", range: HALF_TO_DOUBLE, whatIf: OTHER },
        { name: "flash latency", over: "device.flash.latency", as: "factor", range: HALF_TO_DOUBLE },
        { name: "second phase", over: "device.flash.secondPhaseRatio", range: { from: 0.3, to: 1.2, scale: "log" } },
        {
          name: "memory bus", as: "factor", range: HALF_TO_DOUBLE, whatIf: OTHER,
          over: ["device.dram.theory", "device.dram.sustained", "device.cpu.bandwidth", "device.cpu.clusters[].denseBandwidth", "device.npu.bulkBandwidth", "device.npu.matvecBandwidth", "device.gpu.bandwidth"],
        },
        { name: "sparse kernels", over: "device.cpu.clusters[].sparseBandwidth", as: "factor", range: HALF_TO_DOUBLE },
        { name: "NPU streaming", over: "device.npu.streamedRatio", range: { from: 0.25, to: 1, scale: "log" } },
        { name: "NPU overhead", over: ["device.npu.launch", "device.npu.graphSwap"], as: "factor", range: HALF_TO_DOUBLE },
      ],
    },
  ],
  metrics: ["tokensPerSec"],
  picture: { kind: "indices", title: "What of a phone decides 47B decode speed: shares of the variance", metric: "tokensPerSec" },
};
