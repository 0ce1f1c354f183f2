import type { Command } from "../command.js";
import { planFlag, settingFlags } from "./setting-flags.js";

export const perplexityCommand: Command = {
  name: "perplexity",
  summary: "How well a model predicts a text, counted as llama-perplexity counts it; with --vs llama.cpp beside that program's own result",
  flags: [
    { name: "model", value: "FILE", help: "a GGUF file, or one that neuronlab pack made (default: the model that comes with neuronlab, in models/novels)" },
    { name: "text", value: "FILE", help: "the text, UTF-8" },
    { name: "window", value: "N", help: "tokens that are read from an empty context, of which the second half is scored (default: 512)" },
    { name: "windows", value: "N", help: "at most so many windows, from the beginning (default: all)" },
    { name: "memory", value: "SIZE", help: "what the whole process may hold, such as 900MB; what does not fit stays in the packed file on flash (default: everything in memory)" },
    planFlag,
    { name: "threads", value: "N", help: "compute threads (default: one for each core); the result does not depend on it" },
    ...settingFlags,
    { name: "predictor", value: "FILE", help: "what train-predictor made: it and not the gates decides which neurons are computed, for every token; tokens go through one by one, which takes many times as long (default: lossless)" },
    { name: "audit", value: null, help: "count what the predictor misses; every gate is computed for that" },
    { name: "kv", value: "FORM", help: "f16 or f32: how keys and values are kept, by llama.cpp too. f32 takes twice the room and has no vector kernels (default: f16)" },
    { name: "vs", value: "SYSTEM", help: "llama.cpp: its llama-perplexity scores the same text; neuronlab's build of it, unless --llama-perplexity names another" },
    { name: "llama-perplexity", value: "FILE", help: "the llama-perplexity to compare with" },
    { name: "llama-model", value: "FILE", help: "the GGUF file that llama.cpp runs, where --model is a packed file" },
  ],
  examples: [
    ["perplexity --model model.gguf --text novel.txt", "all of the text"],
    ["perplexity --model model.gguf --text novel.txt --windows 20 --vs llama.cpp", "its first 20 windows, and what llama.cpp says of them"],
    ["perplexity --model model.gguf --text novel.txt --predictor model.predictor.gguf --audit", "what predicting costs, and what it misses"],
    ["perplexity --model model.flash --memory 900MB --text novel.txt --predictor model.predictor.gguf", "the same cost, from flash"],
  ],
  load: async () => (await import("../programs/perplexity/perplexity.js")).perplexityProgram(perplexityCommand),
};
