import type { Sweep } from "../../../sim/sweep/declaration.js";

/** What would the next phone do: faster storage, a wider memory bus, or both? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "next-phone",
  title: "A phone that does not exist yet: UFS 5 and a wider bus, 47B in 13 GiB",
  base: { memory: "13GiB", tokens: 64 },
  axes: [
    {
      name: "flash", over: ["device.flash.random[].rate", "device.flash.sequential[].rate"], as: "factor", values: [1, 1.25, 1.5, 2, 2.5, 3],
      whatIf: "a OnePlus 12 whose flash is so many times as fast at every block and range (UFS 5 is announced with about 2.5 times the sequential rate of UFS 4)",
    },
    {
      name: "bus", over: ["device.dram.theory", "device.dram.sustained", "device.cpu.bandwidth", "device.cpu.clusters[].denseBandwidth", "device.npu.bulkBandwidth", "device.npu.matvecBandwidth", "device.gpu.bandwidth"], as: "factor", values: [1, 1.25, 1.5, 2],
      whatIf: "a memory bus that gives every unit so many times the bandwidth",
    },
  ],
  repetitions: 3,
  metrics: ["tokensPerSec", "exposedIoShare", "joulesPerToken"],
  picture: { kind: "heat", title: "Decoding speed of a phone that does not exist yet, by flash and bus, times the OnePlus 12's", x: "flash", y: "bus", colour: "tokensPerSec" },
};
