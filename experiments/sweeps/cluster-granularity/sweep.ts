import type { Sweep } from "../../../sim/sweep/declaration.js";

/** How large should a neuron cluster be: small ones begin sooner, large ones cost less to schedule? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "cluster-granularity",
  title: "Neurons of a cluster, half of the FFN on flash: OnePlus 12",
  base: { offload: "50%", tokens: 64 },
  axes: [
    { name: "model", over: "model", values: ["bamboo-7b", "prosparse-llama-2-13b", "turbosparse-mixtral-47b"] },
    { name: "neurons", over: "plan.cluster.neurons", values: [64, 128, 256, 512, 1024, 2048, 4096] },
  ],
  repetitions: 3,
  metrics: ["tokensPerSec", "exposedIoShare"],
  picture: { kind: "lines", title: "Decoding speed by the size of a neuron cluster", x: "neurons", y: "tokensPerSec", series: "model" },
};
