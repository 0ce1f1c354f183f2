import type { Command } from "../command.js";

export const generateCommand: Command = {
  name: "generate",
  summary: "Text from a model on this machine, under a memory budget; then how fast it was and where the time went",
  flags: [
    { name: "model", value: "FILE", help: "a GGUF file, or one that neuronlab pack made" },
    { name: "prompt", value: "TEXT", help: "the text that is continued" },
    { name: "tokens", value: "N", help: "at most so many tokens (default: 128)" },
    { name: "memory", value: "SIZE", help: "what the whole process may hold, such as 900MB; what does not fit stays in the packed file on flash (default: everything in memory)" },
    { name: "plan", value: "FILE", help: "a plan, as simulate --save-plan or tune writes it; flags beside it win, and what cannot be mapped onto this machine is said" },
    { name: "threads", value: "N", help: "compute threads (default: one for each core)" },
    { name: "lanes", value: "N", help: "threads that read from flash (default: 4)" },
    { name: "io-uring", value: "DEPTH", help: "instead of --lanes: io_uring with so many reads in flight" },
    { name: "depth", value: "N", help: "neuron clusters in flight (default: 4)" },
    { name: "cluster", value: "N", help: "neurons of a cluster (default: 256)" },
    { name: "policy", value: "NAME", help: "what leaves the cold segment first: lru, window, static-hot, clock, lfu, s3-fifo, sieve or arc (default: lru)" },
    { name: "granularity", value: "UNIT", help: "unit of loading: tensor, expert, matrix, cluster or neuron (default: neuron)" },
    { name: "overlap", value: "WHAT", help: "which work may overlap a read: none, matrix or cluster (default: cluster)" },
    { name: "ffn", value: "HOW", help: "FFNs in memory: dense, sparse, or auto by the model's activation (default: auto)" },
    { name: "temperature", value: "T", help: "0 takes the likeliest token (default: 0)" },
    { name: "top-k", value: "N", help: "only the N likeliest; 0 keeps all (default: 0)" },
    { name: "top-p", value: "P", help: "only the likeliest that reach this probability together; 1 keeps all (default: 1)" },
    { name: "ignore-end", value: null, help: "go on after a token that ends a text" },
  ],
  examples: [
    ["generate --model model.gguf --prompt Once", "everything in memory"],
    ["generate --model model.flash --memory 900MB --prompt Once", "the rest stays on flash"],
    ["generate --model model.flash --memory 900MB --prompt Once --io-uring 64 --format json", "for a program to read"],
    ["generate --model model.gguf --prompt Once --temperature 0.8 --top-p 0.95 --seed 7", "sampled, and the same each time"],
  ],
  load: async () => (await import("../programs/generate.js")).generateProgram(generateCommand),
};
