import type { Command } from "../command.js";

export const packCommand: Command = {
  name: "pack",
  positional: { key: "model", shown: "MODEL.gguf", many: false, help: "a GGUF file with F32, F16, Q8_0 or Q4_0 weights" },
  summary: "A GGUF file to the layout that runs from flash: neurons in whole pages, checksummed, with an index",
  flags: [
    { name: "out", value: "FILE", help: "the packed file; it appears whole or not at all" },
    { name: "down", value: "FORM", help: "auto, exact, q8_0, q4_0, f16 or f32: how the down weights of a neuron are kept; exact keeps the file's bits (in tiles, for comparing), f32 its numbers, which is lossless and large; the others requantise where they must (default: auto)" },
    { name: "group", value: "N", help: "neurons of a group, the granule of reads, a power of two (default: the one that costs least flash time)" },
    { name: "arrangement", value: "WHICH", help: "bundles (gate, up and down of a neuron together) or matrices (default: bundles)" },
    { name: "threads", value: "N", help: "threads that transpose and requantise (default: one for each core)" },
  ],
  examples: [
    ["pack model.gguf --out model.flash", "make the file that generate --memory runs"],
    ["pack model.gguf --out model.flash --down f16", "down in half precision: larger, and nearer to the source"],
  ],
  load: async () => (await import("../programs/pack.js")).packProgram(packCommand),
};
