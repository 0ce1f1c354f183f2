import type { Command } from "../command.js";
import { planFlag, preloadFlag, settingFlags } from "./setting-flags.js";

export const generateCommand: Command = {
  name: "generate",
  summary: "Text from a model on this machine, under a memory budget; then how fast it was and where the time went",
  flags: [
    { name: "model", value: "FILE", help: "a GGUF file, or one that neuronlab pack made (default: the model that comes with neuronlab, in models/novels)" },
    { name: "prompt", value: "TEXT", help: "the text that is continued" },
    { name: "tokens", value: "N", help: "at most so many tokens (default: 128)" },
    { name: "memory", value: "SIZE", help: "what the whole process may hold, such as 900MB; what does not fit stays in the packed file on flash (default: everything in memory)" },
    planFlag,
    { name: "threads", value: "N", help: "compute threads (default: one for each core)" },
    ...settingFlags,
    preloadFlag,
    { name: "slow-storage", value: "HOW@N", help: "with --shape-flash: that device becomes slower after N tokens: 3@32 takes three times as long, bytes:4@32 four times for a byte, reads:4@32 four times for a command" },
    { name: "adapt", value: null, help: "measure while generating, every 4 tokens; when reads or kernels are a quarter off what the profile (of --shape-flash, else this-host) says for 8 tokens, correct its rates and choose again how gate rows are read. The text stays the same; every decision is told" },
    { name: "predictor", value: "FILE", help: "what train-predictor made, or a model file that carries predictors: they and not the gates decide which neurons are computed while generating (default: lossless)" },
    { name: "audit", value: null, help: "count what the predictor misses; every gate is computed for that" },
    { name: "kv", value: "FORM", help: "f16 or f32: how keys and values are kept. f32 takes twice the room and has no vector kernels: for comparing texts with another program's (default: f16)" },
    { name: "temperature", value: "T", help: "0 takes the likeliest token (default: 0)" },
    { name: "top-k", value: "N", help: "only the N likeliest; 0 keeps all (default: 0)" },
    { name: "top-p", value: "P", help: "only the likeliest that reach this probability together; 1 keeps all (default: 1)" },
    { name: "ignore-end", value: null, help: "go on after a token that ends a text" },
    { name: "trace", value: "FILE", help: "write the timeline, of the prompt too, in the Chrome trace format; Perfetto opens it. Takes some megabytes of --memory" },
    { name: "save", value: "FILE", help: "write the run record (of decode, or of prefill with --tokens 1), spans included, for neuronlab trace" },
  ],
  examples: [
    ["generate --model model.gguf --prompt Once", "everything in memory"],
    ["generate --model model.flash --memory 900MB --prompt Once", "the rest stays on flash"],
    ["generate --model model.flash --memory 900MB --prompt Once --io-uring 64 --format json", "for a program to read"],
    ["generate --model model.flash --memory 900MB --prompt Once --shape-flash oneplus-12 --save run.json", "as if on that phone's storage, kept for neuronlab trace"],
    ["generate --model model.flash --memory 900MB --prompt Once --shape-flash oneplus-12 --slow-storage bytes:4@32 --adapt", "storage that becomes slower in mid-run, and a plan that follows"],
    ["generate --model model.gguf --prompt Once --temperature 0.8 --top-p 0.95 --seed 7", "sampled, and the same each time"],
    ["generate --model model.gguf --predictor model.predictor.gguf --prompt Once --audit", "only predicted neurons, and what that misses"],
  ],
  load: async () => (await import("../programs/generate/generate.js")).generateProgram(generateCommand),
};
