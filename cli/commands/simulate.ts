import type { Command } from "../command.js";

export const simulateCommand: Command = {
  name: "simulate",
  summary: "One run: how fast, what it costs, where the time goes and what limits it",
  flags: [
    { name: "device", value: "NAME", help: "a known phone, or a path to your own .json (default: oneplus-12)" },
    { name: "model", value: "NAME", help: "a known model, or a path (default: turbosparse-mixtral-47b)" },
    { name: "system", value: "NAME", help: "a known system, or a path (default: powerinfer-2)" },
    { name: "memory", value: "SIZE", help: "what the process may hold, such as 19GB or 17.7GiB; all keeps everything resident, whatever the phone has (default: what the phone gives one app)" },
    { name: "offload", value: "SHARE", help: "instead of --memory: this share of the FFN stays on flash, such as 50%" },
    { name: "phase", value: "PHASE", help: "prefill or decode (default: decode)" },
    { name: "prompt", value: "N", help: "tokens of the prompt (default: 512 in prefill, 64 in decode)" },
    { name: "tokens", value: "N", help: "tokens to generate in decode (default: 128)" },
    { name: "batch", value: "N", help: "sequences decoded together (default: 1)" },
    { name: "plan", value: "FILE", help: "a plan to run: it fixes the memory, and names device, model and system unless they are given" },
    { name: "activations", value: "FILE", help: "a trace that neuronlab record wrote: its statistics in place of the model's, and its very neurons at --fidelity neuron" },
    { name: "fidelity", value: "LEVEL", help: "analytic, cluster or neuron (default: cluster)" },
    { name: "set", value: "KEY=VALUE", help: "switch one mechanism of the system, such as overlap=none; may repeat; `neuronlab systems NAME` lists them" },
    { name: "trace", value: "FILE", help: "write a timeline that opens in Perfetto" },
    { name: "save", value: "FILE", help: "write the whole run record, spans included, for `neuronlab trace`" },
    { name: "save-plan", value: "FILE", help: "write the plan that ran, for --plan to run again or to change" },
  ],
  examples: [
    ["simulate", "the paper's largest model on its first phone"],
    ["simulate --memory 7GB --format json", "the same in 7 GB, for a program to read"],
    ["simulate --model bamboo-7b --offload 50% --system llm-in-a-flash", "a rival with half of the FFN on flash"],
    ["simulate --model bamboo-7b --offload 50% --set overlap=none", "what the cluster pipeline is worth"],
    ["simulate --model ./model.json --activations text.trace --fidelity neuron", "a text that neuronlab record recorded, neuron by neuron"],
    ["simulate --model bamboo-7b --phase prefill --prompt 512", "how fast a prompt is read"],
    ["simulate --model bamboo-7b --offload 50% --tokens 4 --trace timeline.json", "a timeline for ui.perfetto.dev"],
  ],
  load: async () => (await import("../programs/simulate.js")).simulateProgram(simulateCommand),
};
