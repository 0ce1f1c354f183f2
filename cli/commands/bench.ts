import type { Command } from "../command.js";
import type { DrawComparison } from "../programs/versus/report.js";
import { planFlag, preloadFlag, settingFlags } from "./setting-flags.js";

export const benchCommand: Command = {
  name: "bench",
  summary: "How fast the engine is: llama-bench's prompt and generation tests, and its JSON fields; with --vs, beside llama.cpp",
  flags: [
    { name: "model", value: "FILE", help: "a GGUF file, or one that neuronlab pack made; may repeat (default: the model that comes along)" },
    { name: "n-prompt", short: "p", value: "N,…", help: "prompt tests of so many random tokens; 0 for none (default: 512)" },
    { name: "n-gen", short: "n", value: "N,…", help: "generation tests of so many tokens, one by one; 0 for none (default: 128)" },
    { name: "repetitions", short: "r", value: "N", help: "of each test, with the model loaded once (default: 5)" },
    { name: "threads", short: "t", value: "N,…", help: "compute threads (default: one for each core)" },
    { name: "memory", value: "SIZE,…", help: "what the whole process may hold: 900MB, 40% of the model's file, 10%..120%/8 for a sweep of eight, or all (default: all)" },
    { name: "no-warmup", value: null, help: "do not run each test once unmeasured (the generation test with one token)" },
    { name: "output", short: "o", value: "FORMAT", help: "the rows as llama-bench prints them: md, csv, json, jsonl or sql" },
    { name: "predictor", value: "FILE", help: "what train-predictor made, or a model file that carries predictors: they and not the gates decide which neurons are computed while generating (default: lossless); may repeat, one for each --model" },
    planFlag,
    ...settingFlags,
    preloadFlag,
    { name: "vs", value: "RIVAL", help: "llama.cpp: run its llama-bench in turn with ours on the same file, and give ratios" },
    { name: "rounds", value: "N", help: "with --vs: how often both take their turn, each time in a process of its own (default: 3)" },
    { name: "llama-bench", value: "PATH", help: "with --vs: its program (default: the one that engine/rivals/llama.cpp/build.mjs built, else one on the PATH)" },
    { name: "llama-model", value: "FILE", help: "with --vs and a packed file: the GGUF file that llama.cpp runs; may repeat, one for each --model" },
    { name: "pair", value: "FILE", help: "with --vs: a dense GGUF model of the same size, so that llama.cpp's best case stands beside it; may repeat, one for each --model" },
    { name: "page-cache", value: "STATE", help: "with --vs: cold, warm or both (default: warm; under a limit both)" },
    { name: "baseline-args", value: "WORDS", dashes: true, help: "with --vs: more words for llama-bench, such as '-fa off -ub 256'; may repeat: each is tried, and the fastest runs" },
    { name: "out", value: "DIR", help: "with --vs: write a page, a picture of a sweep, and all rows there; what an earlier call finished is kept" },
    { name: "fresh", value: null, help: "with --out: measure again what an earlier call finished" },
  ],
  examples: [
    ["bench --model model.gguf", "pp512 and tg128, five times each"],
    ["bench --model model.flash --memory 900MB,1500MB -p 0 -n 32 -r 3", "generation under two budgets"],
    ["bench --model model.gguf --predictor model.predictor.gguf -p 0", "only predicted neurons are computed; `perplexity` says what that costs"],
    ["bench --model model.gguf -t 1,2 --format json", "the list that llama-bench -o json gives"],
    ["bench --model model.gguf --vs llama.cpp", "beside llama.cpp: ratios"],
    ["bench --model m.flash --llama-model m.gguf --vs llama.cpp --memory 900MB -p 0 -n 16", "both held to the same limit by the operating system"],
    ["bench --model m.flash --llama-model m.gguf --pair silu.gguf --vs llama.cpp --memory 10%..120%/8 -p 0 -n 16 --out sweep", "a sweep of the limit, with a picture; goes on where it was stopped"],
    ["bench --model model.gguf -o sql", "for sqlite3, beside llama-bench's own rows"],
  ],
  load: async () => {
    const [{ benchProgram }, { drawMemorySweep }, { drawingTools }] = await Promise.all([import("../programs/bench/bench.js"), import("../../experiments/plots/memory-sweep.js"), import("../node/drawing.js")]);
    const draw: DrawComparison = (sweep) => {
      const { document, png } = drawingTools();
      const svg = drawMemorySweep(document, sweep);
      return { svg, png: png(svg) };
    };
    return benchProgram(draw)(benchCommand);
  },
};
