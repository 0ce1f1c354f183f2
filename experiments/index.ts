/** All experiments, in the paper's order. To add one: a folder, and a line here. */
import type { Experiment } from "./experiment.js";
import { f10 } from "./f10/experiment.js";
import { f11 } from "./f11/experiment.js";
import { f12 } from "./f12/experiment.js";
import { f13 } from "./f13/experiment.js";
import { f14 } from "./f14/experiment.js";
import { f2 } from "./f2/experiment.js";
import { f3a } from "./f3a/experiment.js";
import { f3b } from "./f3b/experiment.js";
import { f7 } from "./f7/experiment.js";
import { f8 } from "./f8/experiment.js";
import { f9 } from "./f9/experiment.js";
import { t1 } from "./t1/experiment.js";
import { t2 } from "./t2/experiment.js";
import { t4 } from "./t4/experiment.js";
import { t5 } from "./t5/experiment.js";
import { t6 } from "./t6/experiment.js";
import { t7 } from "./t7/experiment.js";
import { t8 } from "./t8/experiment.js";
import { tsT9 } from "./ts-t9/experiment.js";

export const experiments: ReadonlyArray<Experiment> = [t1, t2, f2, f3a, f3b, f7, t4, f8, f9, f10, f11, t5, t6, f12, f13, f14, t7, t8, tsT9];
