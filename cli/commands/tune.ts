import { workersFlag, type Command } from "../command.js";

export const tuneCommand: Command = {
  name: "tune",
  summary: "The best plan for a device, a model and a budget of memory; why it is the best, and what limits it",
  flags: [
    { name: "device", value: "NAME", help: "a known phone, or a path to your own .json (default: oneplus-12)" },
    { name: "model", value: "NAME", help: "a known model, or a path (default: turbosparse-mixtral-47b)" },
    { name: "system", value: "NAME", help: "whose mechanisms the plan may use: powerinfer-2 and its kin (default: powerinfer-2, or powerinfer-2-cpu-only where there is no NPU)" },
    { name: "memory", value: "SIZE", help: "the budget, such as 19GB or 17.7GiB (default: what the phone gives one app)" },
    { name: "objective", value: "WHAT", help: "tokens/s, p99, J/token or memory (default: tokens/s)" },
    { name: "at-least", value: "N", help: "with --objective memory: the speed to keep, in tokens/s (default: 95% of the fastest)" },
    { name: "planner", value: "NAME", help: "ours, or one of the paper's: powerinfer-2-v1 (a cost model under constraints), powerinfer-2 (hot and cold by profile) (default: ours)" },
    { name: "batch", value: "N", help: "sequences decoded together (default: 1)" },
    { name: "prompt", value: "N", help: "tokens of the prompt (default: 64)" },
    { name: "tokens", value: "N", help: "tokens to generate; the KV cache has room for them (default: 128)" },
    { name: "out", value: "FILE", help: "write the plan, for simulate --plan and generate --plan" },
    { name: "front", value: "FILE", help: "draw the front of speed, energy and memory, as .svg or .png" },
    { name: "published", value: null, help: "make the plans of results/tuned again, all of them" },
    { name: "regret", value: null, help: "measure the search against an exhaustive sweep, cell by cell, into results/tuned; takes a while" },
    { name: "adaptation", value: null, help: "measure what adapting while running recovers when storage slows down, cell by cell, into results/tuned" },
    { name: "check", value: null, help: "with --published, --regret or --adaptation: write nothing; compare with what is stored, byte for byte, and exit 70 if anything differs" },
    workersFlag,
  ],
  examples: [
    ["tune", "the paper's largest model on its first phone"],
    ["tune --device oneplus-13 --model bamboo-7b --memory 3GiB --out plan.json", "a plan for another phone, to run with simulate --plan plan.json"],
    ["tune --memory 13GiB --objective J/token --format json", "the thriftiest plan, for a program to read"],
    ["tune --objective memory --at-least 8", "the least memory that still gives 8 tokens/s"],
    ["tune --planner powerinfer-2-v1 --system powerinfer-2-v1", "what the paper's first planner would choose"],
    ["tune --memory 13GiB --front front.svg", "what speed costs in energy and memory, as a picture"],
    ["tune --published --check", "are the stored plans still what comes out?"],
  ],
  load: async () => {
    const [{ tuneProgram }, { drawFront }, { published }, { regretStudy }, { adaptationStudy }, { drawingTools }] = await Promise.all([
      import("../programs/tune/tune.js"),
      import("../../experiments/plots/front.js"),
      import("../../experiments/tuned/published.js"),
      import("../../experiments/planner-regret/study.js"),
      import("../../experiments/adaptation/study.js"),
      import("../node/drawing.js"),
    ]);
    return tuneProgram({ draw: (front) => drawFront(drawingTools().document, front), png: (svg) => drawingTools().png(svg), published, regretStudy, adaptationStudy })(tuneCommand);
  },
};
