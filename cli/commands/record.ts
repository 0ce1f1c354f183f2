import type { Command } from "../command.js";

export const recordCommand: Command = {
  name: "record",
  summary: "Which experts and neurons a text uses, token by token, to a trace that simulate --activations replays",
  flags: [
    { name: "model", value: "FILE", help: "a GGUF file (default: the model that comes with neuronlab, in models/novels)" },
    { name: "out", value: "FILE", help: "the trace; it appears whole or not at all" },
    { name: "prompt", value: "TEXT", help: "the text that is read and continued" },
    { name: "prompt-file", value: "FILE", help: "instead of --prompt: a file with the text" },
    { name: "window", value: "N", help: "read the text in pieces of so many tokens, each from an empty context, so that it may be longer than the model's context (default: in one piece)" },
    { name: "tokens", value: "N", help: "tokens of the continuation, at most (default: 128)" },
    { name: "temperature", value: "T", help: "0 takes the likeliest token (default: 0)" },
    { name: "ignore-end", value: null, help: "go on after a token that ends a text" },
    { name: "threads", value: "N", help: "compute threads (default: one for each core); the trace does not depend on it" },
    { name: "spec", value: "FILE", help: "also write the model as models/*.json have it, with the statistics of this text, for simulate --model" },
  ],
  examples: [
    ["record --model model.gguf --prompt Once --out once.trace", "a trace of the prompt and 128 tokens"],
    ["record --model model.gguf --prompt-file text.txt --tokens 0 --out text.trace --spec model.json", "a long text, and the model as it behaves on it"],
    ["simulate --model ./model.json --activations text.trace --fidelity neuron --offload 50%", "the same text on a phone"],
  ],
  load: async () => (await import("../programs/record/record.js")).recordProgram(recordCommand),
};
