/** Adapting in a simulated run: windows of tokens are counted as the engine counts them, and decided by the same function. */
import type { AdaptSetting, Decision, Rates, Window, Work } from "../../domain/adaptation.js";
import type { GateReads, Plan } from "../../domain/plan.js";
import { threadCount } from "../../hardware/kernels.js";
import { adapt, startAdapting } from "../../policies/adaptation/adapt.js";
import type { SeenToken } from "../decode.js";
import type { GatedCosts } from "./costs.js";
import { gateChoices, gateReads, groupsOf, type Reads } from "./cut.js";
import { bytesOf, readsOf, type LayerUse } from "./walk.js";

/** Tokens of a window. */
export const WINDOW = 4;

export const adaptSetting = ({ cut, ownNs, handedNs, handingNs, commandNs }: GatedCosts, plan: Plan, rates: Rates): AdaptSetting => {
  const threads = Math.max(1, threadCount(plan.compute.threads));
  const work = ({ count, bytes }: Reads, cost: GatedCosts["ownNs"]): Work => ({ reads: count, bytes, cpuNs: cost(count, bytes) / threads });
  const groups = groupsOf(cut, cut.cluster, 0);
  const of = (way: GateReads): Work => work(gateReads(cut, groups, way), way === "apart" ? ownNs : (reads, bytes) => handedNs(reads, bytes) + handingNs(reads));
  return { every: WINDOW, rates: { ...rates, commandNs: rates.commandNs + commandNs }, choices: gateChoices(cut, plan.mechanisms.overlap), gates: { apart: of("apart"), joined: of("joined"), bundles: of("bundles") }, unit: work({ count: 1, bytes: cut.upDownPart }, ownNs) };
};

export interface Adaptive {
  /** How gate rows are read now. */
  readonly gates: () => GateReads;
  readonly layer: (use: LayerUse) => void;
  readonly endToken: (seen: SeenToken) => void;
  readonly decisions: () => ReadonlyArray<Decision>;
}

const NOTHING: Window = { tokens: 0, wallNs: 0, waitedNs: 0, readingNs: 0, reads: 0, bytes: 0, lookUps: 0, clusters: 0, units: 0, beside: 0 };
const PARTS = Object.keys(NOTHING) as ReadonlyArray<keyof Window>;

export const createAdaptive = (setting: AdaptSetting, gates: GateReads): Adaptive => {
  let state = startAdapting(setting, gates);
  let token = 0;
  const decisions: Array<Decision> = [];
  const window: { -readonly [K in keyof Window]: number } = { ...NOTHING };
  return {
    gates: () => state.gates,
    layer: (use) => {
      window.reads += readsOf(use);
      window.bytes += bytesOf(use);
      window.lookUps += use.lookups + use.gateLookups;
      window.clusters += use.gateMisses;
      window.units += use.misses;
      window.beside += use.beside;
    },
    endToken: ({ latencyNs, waitedNs, readingNs }) => {
      token++;
      window.tokens++;
      window.wallNs += latencyNs;
      window.waitedNs += waitedNs;
      window.readingNs += readingNs;
      if (window.tokens < setting.every) return;
      const adapted = adapt(setting, state, { ...window }, token);
      state = adapted.state;
      if (adapted.decision !== null) decisions.push(adapted.decision);
      for (const part of PARTS) window[part] = 0;
    },
    decisions: () => decisions,
  };
};
