import type { Command } from "../command.js";

export const trainPredictorCommand: Command = {
  name: "train-predictor",
  summary: "Fits low-rank predictors of which neurons fire to the model's own activations; says how good they are on tokens held out",
  flags: [
    { name: "model", value: "FILE", help: "a GGUF file of a model whose neurons can be inactive (ReLU or dReLU)" },
    { name: "out", value: "FILE", help: "the predictor file, such as model.predictor.gguf; it appears whole or not at all" },
    { name: "text", value: "FILE", help: "a plain text that the model reads (default: what the model itself says, sampled at temperature 1)" },
    { name: "tokens", value: "N", help: "at most so many tokens: 8 of 10 to learn from, 1 to set thresholds by, 1 to judge by (default: 4096)" },
    { name: "rank", value: "R", help: "hidden numbers of a predictor (default: a quarter of the model's width)" },
    { name: "recall", value: "SHARE", help: "share of the firing neurons that is to be predicted; sets each layer's threshold (default: 95%)" },
    { name: "hidden", value: "FORM", help: "identity, or relu as in PowerInfer, which predicts worse here at the same rank (default: identity)" },
    { name: "weights", value: "FORMAT", help: "q8_0, q4_0 (half the bytes; predicts some more neurons for the same recall), f16 or auto: q8_0 where rank and width are multiples of 32 (default: auto)" },
    { name: "passes", value: "N", help: "how often every token is learnt from (default: 10)" },
    { name: "threads", value: "N", help: "compute threads; the file does not depend on them (default: one for each core)" },
  ],
  examples: [
    ["train-predictor --model model.gguf --out model.predictor.gguf", "fitted to what the model says itself"],
    ["train-predictor --model model.gguf --out model.predictor.gguf --text book.txt --tokens 20000 --recall 98%", "fitted to a text, for fewer misses"],
    ["train-predictor --model model.gguf --out model.predictor.gguf --rank 64 --format json", "smaller; for a program to read"],
  ],
  load: async () => (await import("../programs/train-predictor.js")).trainPredictorProgram(trainPredictorCommand),
};
