/** A cell as a plan that the engine runs and the simulator predicts. */
import type { ModelSpec } from "../../sim/domain/model.js";
import { sizesOf } from "../../sim/domain/model.js";
import { modelShapeOf, type Plan } from "../../sim/domain/plan.js";
import { cutOf, wholeSegments } from "../../sim/inference/gated/cut.js";
import type { Cell } from "./cells.js";

/** What a process holds besides weights and segments, generously: segments are given, so memory decides nothing here. */
const BESIDE = 1.5e9;

export const planOf = (cell: Cell, model: ModelSpec): Plan => {
  const mechanisms: Plan["mechanisms"] = {
    computation: "gated", decodeOn: "cpu", prefillOn: "cpu", loading: cell.loading, cache: cell.cache, overlap: cell.overlap, submitters: cell.submitters,
    prefetchHot: "off", prefillOverlap: "next-layer", scalesResident: "no", offload: "yes",
  };
  const sizes = sizesOf(model);
  const cluster = { neurons: cell.cluster };
  const io: Plan["io"] = { streamBlock: 512 * 1024, lanes: cell.reads, gates: "joined" };
  const empty = { fixed: sizes.nonFfnBytes, predictors: 0, scales: 0, kv: 0, runtime: 0, hot: 0, cold: 0 };
  const whole = wholeSegments(cutOf(model, { mechanisms, cluster, io, cache: empty }));
  const held = cell.budget * (whole.hot + whole.cold);
  // Gates first where they decide; where every neuron counts, in proportion.
  const hot = Math.floor(model.activation === "SiLU" ? cell.budget * whole.hot : Math.min(held, whole.hot));
  const cold = Math.floor(held - hot);
  return {
    schema: "neuronlab/plan@1",
    note: `cell ${cell.id} of neuronlab validate host`,
    device: "this-host", model: model.name, shape: modelShapeOf(model), system: "neuronlab",
    memory: Math.ceil(sizes.nonFfnBytes + hot + cold + BESIDE),
    mechanisms,
    compute: { threads: { big: cell.threads, mid: 0, little: 0 }, ioCore: "none", attentionOn: "cpu", npuRows: [{ batch: 1, share: 0 }] },
    cluster,
    cache: { ...empty, hot, cold },
    pipeline: { depth: cell.depth },
    io,
  };
};
