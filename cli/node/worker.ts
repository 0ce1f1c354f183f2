/** What a pool thread runs: one simulation. Loaded from compiled JavaScript only. */
import { simulate } from "../../sim/inference/simulate.js";
import type { Outcome, RunInputs } from "../program.js";

// A default export, because piscina calls it so.
export default (inputs: RunInputs): Outcome => simulate(inputs);
