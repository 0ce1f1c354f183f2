/** The parts of a process's memory by name and colour, the same on every page. */
import type { Plan } from "../sim/domain/plan.js";

export const MEMORY_PARTS: ReadonlyArray<readonly [keyof Plan["cache"], string]> = [
  ["fixed", "attention, embedding and head"], ["predictors", "predictors"], ["scales", "FFN scales"], ["kv", "KV cache"], ["runtime", "runtime"], ["hot", "hot segment"], ["cold", "cold segment"],
];

export const MEMORY_COLOURS: Readonly<Record<string, string>> = {
  "hot segment": "#e2711d", "cold segment": "#5566c3", predictors: "#44bb99", "FFN scales": "#a89b4c", "attention, embedding and head": "#4477aa", runtime: "#9a9a9a", "KV cache": "#cc6699", unused: "#c9c9c9",
};
