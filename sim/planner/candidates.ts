/**
 * From a point of the space to a plan that can run: memory by part as fit.ts accounts for it, what is left split between
 * the segments, buffers of the clusters in flight set aside. And back: what an existing plan chose.
 */
import { E, pipe, type Either } from "../base/fp.js";
import { unsupported, type AppError } from "../base/errors.js";
import type { DeviceProfile } from "../domain/device.js";
import { rowsOf, type ModelSpec } from "../domain/model.js";
import { modelShapeOf, npuShareAt, type Plan } from "../domain/plan.js";
import type { RunRequest } from "../domain/run.js";
import type { Mechanisms, SystemSpec } from "../domain/system.js";
import { pipelineBytes } from "./default-plan.js";
import { fitMemory } from "./fit.js";
import { driverAt, hasCores, type Choice } from "./space.js";

/** What a plan is sought for. The request's memory is the budget, and its tokens are what the KV cache must have room for. */
export interface Cell { readonly device: DeviceProfile; readonly model: ModelSpec; readonly system: SystemSpec; readonly request: RunRequest }

export const mechanismsAt = (system: SystemSpec, { layout, driver, overlap, prefetchHot }: Choice): Mechanisms => ({
  ...system.mechanisms, ...layout, overlap, prefetchHot, submitters: driver.ioCore === "none" ? "compute-threads" : "io-thread",
});

/** Sizes of a plan's file are whole bytes, so that what was tuned is what is read again. */
const whole = Math.floor;

/** Rows on the NPU: the share at the batch size in question, and what other batch sizes have already been given. */
const rowsWith = (batch: number, share: number): Plan["compute"]["npuRows"] => (batch === 1 ? [{ batch: 1, share }] : [{ batch: 1, share }, { batch, share }]);

/**
 * Where the true gates decide, the hot segment is gate rows and the cold one up and down: neither is given more than there is of it, so that a
 * hot share of 1 means gates first. With room for all there are no segments, and offload is no: the slots of clusters that an expert does not fill are longer than their rows, so
 * that just the rows' bytes would leave some out, and be read for ever.
 */
const gatedSegments = (model: ModelSpec, ffnAll: number, cacheBytes: number, hotShare: number): { readonly hot: number; readonly cold: number } => {
  const { gateRow, upDownRow } = rowsOf(model);
  const gates = (ffnAll * gateRow) / (gateRow + upDownRow);
  const hot = Math.min(gates, Math.max(cacheBytes * hotShare, cacheBytes - (ffnAll - gates)));
  return { hot, cold: cacheBytes - hot };
};

export const planAt = ({ device, model, system, request }: Cell, choice: Choice): Either<AppError, Plan> => {
  const { driver, mid, little } = choice;
  if (!hasCores(device, choice)) return E.left(unsupported(`${mid} mid, ${driver.big} big and ${little} little threads with reads from ${driver.ioCore}`, `${device.title} has not so many cores`));
  const mechanisms = mechanismsAt(system, choice);
  return pipe(
    fitMemory(device, model, system, mechanisms, request),
    E.map((fit): Plan => {
      const allowed = fit.ffn * choice.keep;
      const all = allowed >= fit.ffnAll * (1 - 1e-9);
      const gated = mechanisms.computation === "gated";
      const inFlight = all || gated || choice.overlap !== "cluster" ? 0 : Math.min(allowed, pipelineBytes(model, mechanisms, choice.clusterNeurons, choice.depth));
      const cacheBytes = allowed - inFlight;
      const { hot, cold } = all ? { hot: Math.ceil(fit.ffnAll), cold: 0 } : gated ? gatedSegments(model, fit.ffnAll, cacheBytes, choice.hot) : { hot: whole(cacheBytes * choice.hot), cold: cacheBytes - whole(cacheBytes * choice.hot) };
      return {
        schema: "neuronlab/plan@1",
        note: "tuned",
        device: device.name,
        model: model.name,
        shape: modelShapeOf(model),
        system: system.name,
        memory: whole(choice.keep < 1 ? fit.memory - (fit.ffn - allowed) : fit.memory),
        mechanisms: gated && all ? { ...mechanisms, offload: "no" } : mechanisms,
        compute: { threads: { big: driver.big, mid, little }, ioCore: driver.ioCore, attentionOn: choice.attentionOn, npuRows: rowsWith(request.batch, choice.npuShare) },
        cluster: { neurons: choice.clusterNeurons },
        cache: { fixed: whole(fit.fixed), predictors: whole(fit.predictors), scales: whole(fit.scales), kv: whole(fit.kv), runtime: whole(fit.runtime + inFlight), hot: whole(hot), cold: whole(cold) },
        pipeline: { depth: choice.depth },
        io: { streamBlock: choice.streamBlock, lanes: choice.lanes, gates: choice.gates },
      };
    }),
  );
};

/** What a plan chose, for a search to begin there. Values may lie beside the grid. */
export const choiceOf = (plan: Plan, batch: number): Choice => {
  const { threads, ioCore, attentionOn } = plan.compute;
  const cached = plan.cache.hot + plan.cache.cold;
  return {
    layout: { loading: plan.mechanisms.loading, scalesResident: plan.mechanisms.scalesResident },
    gates: plan.io.gates,
    cache: plan.mechanisms.cache,
    hot: cached > 0 ? plan.cache.hot / cached : 1,
    npuShare: npuShareAt(plan, batch),
    attentionOn,
    driver: plan.mechanisms.computation === "gated" ? { submitters: plan.mechanisms.submitters, ioCore, big: threads.big } : driverAt(ioCore, threads.big),
    mid: threads.mid,
    little: threads.little,
    clusterNeurons: plan.cluster.neurons,
    depth: plan.pipeline.depth,
    overlap: plan.mechanisms.overlap,
    prefetchHot: plan.mechanisms.prefetchHot,
    lanes: plan.io.lanes,
    streamBlock: plan.io.streamBlock,
    keep: 1,
  };
};
