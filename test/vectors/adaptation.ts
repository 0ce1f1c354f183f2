/**
 * Decisions of adapting as shared vectors: a storage and threads in closed form that answer what is decided, window by window, one JSON
 * line a situation. The windows are replayed by a Rust test, which must decide the same to the last bit.
 */
import { stream } from "../../sim/base/random.js";
import { adapt, startAdapting } from "../../sim/policies/adaptation/adapt.js";
import type { AdaptSetting, Decision, Rates, Window } from "../../sim/domain/adaptation.js";
import { readingNs } from "../../sim/policies/adaptation/rates.js";
import type { GateReads } from "../../sim/domain/plan.js";

/** Clusters of 256 neurons in groups of one: a gate page, two pages of up and down. A phone's flash. */
export const SETTING: AdaptSetting = {
  every: 4,
  rates: { commandNs: 2780, byteNs: 0.25 },
  choices: ["apart", "joined", "bundles"],
  gates: {
    apart: { reads: 256, bytes: 1048576, cpuNs: 64000 },
    joined: { reads: 6, bytes: 3096576, cpuNs: 22500 },
    bundles: { reads: 6, bytes: 3145728, cpuNs: 22500 },
  },
  unit: { reads: 1, bytes: 8192, cpuNs: 250 },
};

/** What a token of the made-up run needs. */
export interface Load { readonly clusters: number; readonly units: number; readonly beside: number; readonly computeNs: number }
const LOAD: Load = { clusters: 640, units: 24000, beside: 16000, computeNs: 3e8 };

/** What the storage and the threads are like in a window. */
export interface Conditions { readonly storage: Rates; readonly kernels: number; readonly noise: number }

/** `variation`: what tokens lack varies by up to so much either way. `beyond`: of a way, what the closed form does not know of, as a factor of the token's time. */
export interface Made { readonly situation: string; readonly gates: GateReads; readonly setting: AdaptSetting; readonly load: Load; readonly windows: number; readonly at: (window: number) => Conditions; readonly variation?: number; readonly beyond?: Partial<Record<GateReads, number>> }

export interface Step { readonly window: Window; readonly token: number; readonly gates: GateReads; readonly decision: Decision | null }

/** The run, decided as it goes. `noise`: every time varies by up to so much either way. */
export const played = ({ situation, gates, setting, load, windows, at, variation = 0, beyond = {} }: Made): ReadonlyArray<Step> => {
  const random = stream(1, `vectors/adaptation/${situation}`);
  let state = startAdapting(setting, gates);
  return Array.from({ length: windows }, (_, number): Step => {
    const { storage, kernels, noise } = at(number);
    const busy = 1 + variation * (2 * random.uniform() - 1);
    const needs = { clusters: Math.round(load.clusters * busy), units: Math.round(load.units * busy), beside: Math.round(load.beside * busy) };
    const varied = (ns: number): number => Math.round(ns * (1 + noise * (2 * random.uniform() - 1)));
    const way = state.gates;
    const own = way === "bundles" ? needs.units - needs.beside : needs.units;
    const [reads, bytes] = [needs.clusters * setting.gates[way].reads + own, needs.clusters * setting.gates[way].bytes + own * 8192];
    const reading = varied(readingNs(storage, reads, bytes));
    const compute = varied(load.computeNs * kernels);
    const wall = Math.round(Math.max(reading, compute) * (beyond[way] ?? 1)) + 2e7;
    const n = setting.every;
    const window: Window = {
      tokens: n, wallNs: n * wall, waitedNs: n * (wall - compute), readingNs: n * reading, reads: n * reads, bytes: n * bytes,
      lookUps: n * 200000, clusters: n * needs.clusters, units: n * needs.units, beside: n * needs.beside,
    };
    const token = n * (number + 1);
    const { state: then, decision } = adapt(setting, state, window, token);
    state = then;
    return { window, token, gates: state.gates, decision };
  });
};

const { rates } = SETTING;
const even = (factor: number): Rates => ({ commandNs: rates.commandNs * factor, byteNs: rates.byteNs * factor });
const bytes = (factor: number): Rates => ({ ...rates, byteNs: rates.byteNs * factor });
const commands = (factor: number): Rates => ({ ...rates, commandNs: rates.commandNs * factor });
const still = (storage: Rates): Conditions => ({ storage, kernels: 1, noise: 0 });
const base = { gates: "bundles", setting: SETTING, load: LOAD, windows: 14 } as const;

export const SITUATIONS: ReadonlyArray<Made> = [
  { ...base, situation: "as predicted", at: () => still(rates) },
  { ...base, situation: "noise within the threshold", windows: 60, at: () => ({ storage: rates, kernels: 1, noise: 0.1 }) },
  { ...base, situation: "one bad window in three", windows: 30, at: (window) => still(window % 3 === 2 ? even(3) : rates) },
  { ...base, situation: "bytes four times slower", at: (window) => still(window < 5 ? rates : bytes(4)) },
  { ...base, situation: "bytes four times slower, with noise", windows: 40, at: (window) => ({ storage: window < 5 ? rates : bytes(4), kernels: 1, noise: 0.08 }) },
  { ...base, situation: "bytes slower, and tokens that differ", windows: 40, variation: 0.15, at: (window) => still(window < 5 ? rates : bytes(4)) },
  { ...base, situation: "all slower, and tokens that differ", windows: 40, variation: 0.15, at: (window) => still(window < 5 ? rates : even(4)) },
  { ...base, situation: "all four times slower", at: (window) => still(window < 5 ? rates : even(4)) },
  { ...base, situation: "commands four times slower, read in bundles", at: (window) => still(window < 5 ? rates : commands(4)) },
  { ...base, situation: "commands four times slower, read apart", gates: "apart", at: (window) => still(window < 5 ? rates : commands(4)) },
  { ...base, situation: "bytes slower for a while", windows: 30, at: (window) => still(window >= 5 && window < 15 ? bytes(4) : rates) },
  { ...base, situation: "slower and slower", windows: 40, at: (window) => still(bytes(1 + window / 8)) },
  { ...base, situation: "a way that reads less and takes longer", at: (window) => still(window < 5 ? rates : bytes(4)), beyond: { apart: 3 } },
  { ...base, situation: "slower kernels", at: (window) => ({ ...still(rates), kernels: window < 5 ? 1 : 3 }) },
  { ...base, situation: "slower kernels and slower storage", at: (window) => ({ ...still(window < 5 ? rates : bytes(4)), kernels: window < 5 ? 1 : 2 }) },
  { ...base, situation: "computing is all that matters", load: { ...LOAD, computeNs: 9e9 }, at: (window) => still(window < 5 ? rates : bytes(4)) },
  { ...base, situation: "nothing is read", load: { ...LOAD, clusters: 0, units: 0, beside: 0 }, at: () => still(bytes(4)) },
  { ...base, situation: "no gate is missing", load: { ...LOAD, clusters: 0, beside: 0, computeNs: 5e7 }, at: (window) => still(window < 5 ? rates : bytes(4)) },
  { ...base, situation: "one way is open", gates: "joined", setting: { ...SETTING, choices: ["joined"] }, at: (window) => still(window < 5 ? rates : bytes(4)) },
  { ...base, situation: "a profile of another storage", windows: 8, at: () => still({ commandNs: 12000, byteNs: 0.1 }) },
];

/** The text of test/vectors/adaptation.jsonl. */
export const adaptationVectors = (): string =>
  SITUATIONS.map((made) => `${JSON.stringify({ situation: made.situation, setting: made.setting, gates: made.gates, steps: played(made).map(({ window, token, gates, decision }) => ({ window, token, gates, decision })) })}\n`).join("");
