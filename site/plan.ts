/** A tuned plan as a picture of its memory and a table of its choices. */
import { drawShares } from "../experiments/plots/shares.js";
import { E } from "../sim/base/fp.js";
import { decode } from "../sim/base/decode.js";
import { describeError } from "../sim/base/errors.js";
import { showBytes } from "../sim/base/units.js";
import { npuShareAt, planCodec, residentBytes, type Plan } from "../sim/domain/plan.js";
import { gap } from "./figures.js";
import { make } from "./dom.js";
import { MEMORY_COLOURS, MEMORY_PARTS } from "./memory.js";
import { originOf, stored } from "./stored.js";
import { atItsWidth } from "./width.js";

const choices = (plan: Plan): ReadonlyArray<readonly [string, string]> => {
  const { threads, ioCore, attentionOn } = plan.compute;
  const kinds = (["big", "mid", "little"] as const).filter((kind) => threads[kind] > 0).map((kind) => `${threads[kind]} ${kind}`);
  return [
    ["compute threads", kinds.join(", ")],
    ["reads submitted by", ioCore === "none" ? "compute threads" : `a ${ioCore} core`],
    ["attention on", attentionOn],
    ["rows on the NPU, batch 1", `${Math.round(100 * npuShareAt(plan, 1))}%`],
    ["neuron cluster", `${plan.cluster.neurons} neurons`],
    ["clusters under way", String(plan.pipeline.depth)],
    ["I/O lanes", String(plan.io.lanes)],
    ["loading", plan.mechanisms.loading],
  ];
};

const planFigure = async (name: string): Promise<HTMLElement> => {
  const file = await stored(`tuned/${name}.json`);
  if (file === null) return gap(`There is no tuned plan ${name} here.`, "neuronlab tune --published");
  const read = decode(planCodec, file.path)(JSON.parse(file.text));
  if (E.isLeft(read)) return make("p", { class: "refusal" }, describeError(read.left));
  const plan = read.right;
  const unused = plan.memory - residentBytes(plan);
  const parts = [...MEMORY_PARTS.map(([key, part]) => ({ name: part, value: plan.cache[key] })), { name: "unused", value: unused }].filter(({ value }) => value > plan.memory / 2000).sort((a, b) => b.value - a.value);
  const bar = make("div");
  atItsWidth(bar, (width) => bar.replaceChildren(drawShares(document, { title: `memory of ${name}`, width, parts: parts.map(({ name: part, value }) => ({ name: part, value, label: showBytes(value), colour: MEMORY_COLOURS[part] ?? "#888888" })) })));
  return make("figure", {}, make("h3", {}, `In ${Number((plan.memory / 2 ** 30).toFixed(1))} GiB`), bar, make("table", {}, make("tbody", {}, ...choices(plan).map(([what, is]) => make("tr", {}, make("th", { scope: "row" }, what), make("td", {}, is))))), make("figcaption", {}, `${plan.model} on ${plan.device} in ${showBytes(plan.memory)}. `, make("code", {}, originOf(file))));
};

/** Plans side by side, to be compared. */
export const planFigures = async (...names: ReadonlyArray<string>): Promise<HTMLElement> => make("div", { class: "plans" }, ...(await Promise.all(names.map(planFigure))));
