import type { Sweep } from "../../../sim/sweep/declaration.js";

/** What is worth more to a phone: fewer active neurons, or the same few again and again? */
export const sweep: Sweep = {
  schema: "neuronlab/sweep@1",
  id: "sparsity-skew",
  title: "Sparsity and skew: the 47B in 10 GiB on a OnePlus 12",
  base: { memory: "10GiB", tokens: 64 },
  axes: [
    { name: "active", over: "model.activations.activeShare", as: "factor", values: [0.25, 0.5, 0.75, 1, 1.5, 2, 3] },
    { name: "skew", over: "model.activations.skew", as: "factor", values: [0, 0.25, 0.5, 0.75, 1, 1.15], whatIf: "a model whose neurons are more (above 1) or less (below 1) unequal than Bamboo's; at 0 all are equally active" },
  ],
  repetitions: 3,
  metrics: ["tokensPerSec", "cacheHitRate"],
  picture: { kind: "heat", title: "Decoding speed by active neurons and skew, times what they are", x: "active", y: "skew", colour: "tokensPerSec" },
};
