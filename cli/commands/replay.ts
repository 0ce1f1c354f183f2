import type { Command } from "../command.js";

export const replayCommand: Command = {
  name: "replay",
  positional: { key: "file", shown: "[FILE]", many: false, help: "an activation trace, as record writes it (default: of the model that comes along)" },
  summary: "What caches of neurons would find of a recorded text: the engine's compiled caches beside the simulator's, which must agree on every look-up",
  flags: [
    { name: "policy", value: "NAMES", help: "eviction policies, with commas between them: lru, window, static-hot (what the whole trace wants most), clock, lfu, s3-fifo, sieve, arc, belady (knows what is to come: the bound of the others) (default: all)" },
    { name: "slots", value: "SIZES", help: "how many neurons a cache holds, with commas between them: shares of all, such as 10%, or numbers (default: 10%,25%,50%)" },
    { name: "window", value: "N", help: "tokens that the policy window covers (default: 5, the engine's)" },
  ],
  examples: [
    ["replay", "the text that comes along, by every policy"],
    ["replay --policy lru,arc,belady --slots 5%,10%,20%,40%", "curves of three policies"],
    ["record --model model.gguf --prompt Once --out once.trace", "a trace of your own"],
    ["replay once.trace --policy lru --slots 1000 --format json", "its hit rate, for a program"],
  ],
  load: async () => (await import("../programs/replay/replay.js")).replayProgram(replayCommand),
};
