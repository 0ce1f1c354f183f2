/**
 * What a decode step asks of the phone, summed over layers: enough to work out its bounds in closed form. The closed form
 * expects a demand; a run with events measures its own.
 */
import type { LayerDraw } from "./decode-layer.js";

export interface Demand {
  /** Rows computed sparsely: the union over the batch, and as work of single tokens. */
  readonly active: number;
  readonly work: number;
  readonly missing: number;
  /** Clusters of active neurons, resident ones included. */
  readonly clusters: number;
  /** Longest chains: in each layer, clusters that wait for one another at the pipeline's depth, times its largest cluster's work and misses. */
  readonly chainClusters: number;
  readonly chainWork: number;
  readonly chainMissing: number;
  /** Dense FFN weights, and weights beside the random reads that come from flash first. */
  readonly denseBytes: number;
  readonly denseMissingBytes: number;
  readonly otherMissingBytes: number;
  /** Where the true gates decide (gated/demand.ts): device time of all reads, processor time beside the products, of chains what is no product, and the time of up and down with all threads. */
  readonly readNs: number;
  readonly aroundNs: number;
  readonly chainNs: number;
  readonly unitNs: number;
  /** The same: units of up and down that were looked for; `missing` are those of them that were not there. */
  readonly lookups: number;
}

/** The worst that heat did to a run: the lowest clock ratio, and the longest read as a ratio. */
export interface Heat { readonly throttle: number; readonly readSlowdown: number }
export const COOL: Heat = { throttle: 1, readSlowdown: 1 };

export const NO_DEMAND: Demand = { active: 0, work: 0, missing: 0, clusters: 0, chainClusters: 0, chainWork: 0, chainMissing: 0, denseBytes: 0, denseMissingBytes: 0, otherMissingBytes: 0, readNs: 0, aroundNs: 0, chainNs: 0, unitNs: 0, lookups: 0 };

/** Clusters of a layer that must follow one another: no more than `depth` flash-backed ones are in flight. */
export const chainedClusters = (coldClusters: number, depth: number): number => Math.max(1, Math.ceil(coldClusters / depth));

/** Sums demands as they come. Inside, one mutable record: it is fed once a layer. */
export interface DemandMeter {
  readonly addLayer: (draw: LayerDraw) => void;
  readonly addHead: (missingBytes: number) => void;
  /** Totals so far; read them, do not keep them. */
  readonly total: Demand;
  readonly mean: (steps: number) => Demand;
}

export const createDemandMeter = (depth: number): DemandMeter => {
  const total = { ...NO_DEMAND } as { -readonly [K in keyof Demand]: number };
  return {
    total,
    addHead: (missingBytes) => {
      total.otherMissingBytes += missingBytes;
    },
    addLayer: (draw) => {
      let active = 0;
      let work = 0;
      let missing = 0;
      let mostWork = 0;
      let mostMissing = 0;
      for (let c = 0; c < draw.coldClusters; c++) {
        active += draw.coldActive[c];
        work += draw.coldWork[c];
        missing += draw.coldMissing[c];
        if (draw.coldWork[c] > mostWork) mostWork = draw.coldWork[c];
        if (draw.coldMissing[c] > mostMissing) mostMissing = draw.coldMissing[c];
      }
      for (let c = 0; c < draw.warmClusters; c++) {
        active += draw.warmActive[c];
        work += draw.warmWork[c];
        if (draw.warmWork[c] > mostWork) mostWork = draw.warmWork[c];
      }
      const clusters = draw.coldClusters + draw.warmClusters;
      if (clusters > 0) {
        const chained = chainedClusters(draw.coldClusters, depth);
        total.clusters += clusters;
        total.chainClusters += chained;
        total.chainWork += chained * mostWork;
        total.chainMissing += chained * mostMissing;
      }
      total.active += active;
      total.work += work;
      total.missing += missing;
      total.denseBytes += draw.denseBytes;
      total.denseMissingBytes += draw.denseMissingBytes;
      total.otherMissingBytes += draw.attentionMissingBytes;
    },
    mean: (steps) => Object.fromEntries(Object.entries(total).map(([part, sum]) => [part, sum / steps])) as unknown as Demand,
  };
};
