/**
 * Adapting while running. Every window of tokens, what reads and kernels took is compared with what the rates predict. When it is off
 * by more than a quarter for two windows in a row, the rates are corrected, and the way of reading gate rows is chosen again. What made
 * a storage slower, commands or bytes, one number does not tell: a way that is better in every case is taken; one that is better in
 * some is tried for a window, after which two equations tell, and given up if tokens took longer.
 *
 * Pure, and without functions whose last bit differs between machines: engine/crates/offload/src/adapt decides the same, held to it by
 * test/vectors/adaptation.jsonl.
 */
import type { GateReads } from "../../domain/plan.js";
import type { AdaptSetting, Cause, Decision, Rates, Verdict, Window, Work } from "../../domain/adaptation.js";
import { blamed, readingNs, solved } from "./rates.js";

/** What is predicted and what is measured may differ by this factor. */
export const THRESHOLD = 1.25;
/** Windows in a row before anything is done. */
export const CONFIRM = 2;
/** Of the last window in the mean of those: the first may have begun before the change. */
const WEIGHT = 0.75;
/** Of the last window in what computing is expected to take, which no profile says. */
const DRIFT = 0.25;
/** Of a token's time, the least that a change must save. */
export const LEAST_GAIN = 0.05;
/** Of a token's time, the least waiting at which the storage is what a token waits for. */
const WAITING = 0.1;

/** How often in a row something was off, and by how much: an exponentially weighted mean that begins with the first. */
interface Off { readonly ratio: number; readonly windows: number }
const IN_ORDER: Off = { ratio: 1, windows: 0 };

/** What a token lacked, however it was read. */
interface Need { readonly clusters: number; readonly units: number; readonly beside: number }

/** What a token took before a change that is being judged. */
interface Trial extends Need { readonly from: GateReads; readonly wallNs: number; readonly reads: number; readonly bytes: number; readonly readingNs: number }

export interface Adapting {
  readonly gates: GateReads;
  readonly rates: Rates;
  /** Computing a token, as of the windows before; null until there is one. */
  readonly computeNs: number | null;
  readonly storage: Off;
  readonly kernels: Off;
  readonly trial: Trial | null;
  /** Ways that were judged since the rates were last corrected. */
  readonly judged: ReadonlyArray<GateReads>;
}

export interface Adapted { readonly state: Adapting; readonly decision: Decision | null }

export const startAdapting = (setting: AdaptSetting, gates: GateReads): Adapting => ({ gates, rates: setting.rates, computeNs: null, storage: IN_ORDER, kernels: IN_ORDER, trial: null, judged: [] });

const isOff = (ratio: number): boolean => ratio > THRESHOLD || ratio < 1 / THRESHOLD;

const next = (off: Off, ratio: number, counts: boolean): Off => {
  if (!counts || !isOff(ratio)) return IN_ORDER;
  return { ratio: off.windows === 0 ? ratio : off.ratio + WEIGHT * (ratio - off.ratio), windows: off.windows + 1 };
};

interface Token extends Work, Need { readonly wallNs: number; readonly waitedNs: number; readonly computeNs: number; readonly readingNs: number }

const perToken = (window: Window): Token => {
  const each = (sum: number): number => sum / window.tokens;
  return {
    wallNs: each(window.wallNs), waitedNs: each(window.waitedNs), computeNs: each(window.wallNs - window.waitedNs), readingNs: each(window.readingNs),
    reads: each(window.reads), bytes: each(window.bytes), cpuNs: 0, clusters: each(window.clusters), units: each(window.units), beside: each(window.beside),
  };
};

/** What a token like this one reads in a way. */
const workOf = ({ gates, unit }: AdaptSetting, token: Need, way: GateReads): Work => {
  const of = gates[way];
  const units = way === "bundles" ? token.units - token.beside : token.units;
  return { reads: token.clusters * of.reads + units * unit.reads, bytes: token.clusters * of.bytes + units * unit.bytes, cpuNs: token.clusters * of.cpuNs + units * unit.cpuNs };
};

/** Share of the token's time that another way saves: threads and storage work side by side, and the slower of the two decides. */
const savedBy = (setting: AdaptSetting, token: Token, computeNs: number, from: GateReads, to: GateReads, rates: Rates): number => {
  const [now, then] = [workOf(setting, token, from), workOf(setting, token, to)];
  const before = Math.max(computeNs, readingNs(rates, now.reads, now.bytes));
  const after = Math.max(computeNs + then.cpuNs - now.cpuNs, readingNs(rates, then.reads, then.bytes));
  return (before - after) / token.wallNs;
};

interface Option { readonly way: GateReads; readonly least: number; readonly most: number }

/** The others, with what they save at worst and at best if any of these rates may be the true ones. */
const optionsOf = (setting: AdaptSetting, token: Token, computeNs: number, from: GateReads, judged: ReadonlyArray<GateReads>, rates: ReadonlyArray<Rates>): ReadonlyArray<Option> =>
  setting.choices.filter((way) => way !== from && !judged.includes(way)).map((way) => {
    const saved = rates.map((one) => savedBy(setting, token, computeNs, from, way, one));
    return { way, least: Math.min(...saved), most: Math.max(...saved) };
  });

/** The first of the best. */
const most = (options: ReadonlyArray<Option>, of: (option: Option) => number): Option | null => options.reduce<Option | null>((best, option) => (best === null || of(option) > of(best) ? option : best), null);

const measuredOf = (window: Window, token: Token): Decision["measured"] => ({
  wallNs: token.wallNs, computeNs: token.computeNs, readingNs: token.readingNs, waitedShare: token.waitedNs / token.wallNs, reads: token.reads, bytes: token.bytes,
  readsPerSec: token.readingNs > 0 ? (token.reads / token.readingNs) * 1e9 : 0,
  bytesPerSec: token.readingNs > 0 ? (token.bytes / token.readingNs) * 1e9 : 0,
  hitRate: window.lookUps > 0 ? 1 - (window.clusters + window.units) / window.lookUps : 1,
});

/** One window later. `token`: tokens decoded so far. */
export const adapt = (setting: AdaptSetting, state: Adapting, window: Window, token: number): Adapted => {
  const seen = perToken(window);
  const predictedNs = readingNs(state.rates, seen.reads, seen.bytes);
  const decided = (verdict: Verdict, cause: Cause, to: GateReads, rates: Rates, saves: Decision["saves"]): Decision => ({
    token, verdict, cause, measured: measuredOf(window, seen), predicted: { readingNs: predictedNs, computeNs: state.computeNs },
    rates: { from: state.rates, to: rates }, gates: { from: state.gates, to }, saves,
  });
  /** What a change is judged by, after the next window. */
  const asItWas = trialOf(state.gates, seen);

  if (state.trial !== null) return judge(setting, state, state.trial, seen, decided);

  const waits = seen.waitedNs >= WAITING * seen.wallNs;
  const storage = next(state.storage, predictedNs > 0 ? seen.readingNs / predictedNs : 1, waits);
  const kernels = next(state.kernels, state.computeNs === null ? 1 : seen.computeNs / state.computeNs, true);
  const [storageOff, kernelsOff] = [storage.windows >= CONFIRM, kernels.windows >= CONFIRM];
  const expectedNs = state.computeNs ?? seen.computeNs;
  if (!storageOff && !kernelsOff) return { state: { ...state, computeNs: kernels.windows > 0 ? expectedNs : expectedNs + DRIFT * (seen.computeNs - expectedNs), storage, kernels }, decision: null };

  const computeNs = kernelsOff ? expectedNs * kernels.ratio : expectedNs;
  const suspects = storageOff ? blamed(state.rates, seen.reads, seen.bytes, predictedNs * storage.ratio) : [state.rates];
  const rates = suspects[0]!;
  const options = optionsOf(setting, seen, computeNs, state.gates, [], suspects);
  const [safe, hopeful] = [most(options, (option) => option.least), most(options, (option) => option.most)];
  const found = safe !== null && safe.least >= LEAST_GAIN ? { ...safe, verdict: "changed" as const } : hopeful !== null && hopeful.most >= LEAST_GAIN ? { ...hopeful, verdict: "tried" as const } : null;
  const cause = storageOff && kernelsOff ? "both" : storageOff ? "storage" : "kernels";
  const corrected: Adapting = { ...state, rates, computeNs, storage: IN_ORDER, kernels: IN_ORDER, judged: [] };
  if (found === null) return { state: corrected, decision: decided("corrected", cause, state.gates, rates, hopeful === null ? null : { least: hopeful.least, most: hopeful.most }) };
  return {
    state: { ...corrected, gates: found.way, computeNs: null, trial: asItWas },
    decision: decided(found.verdict, cause, found.way, rates, { least: found.least, most: found.most }),
  };
};

const trialOf = (from: GateReads, { wallNs, reads, bytes, readingNs: ns, clusters, units, beside }: Token): Trial => ({ from, wallNs, reads, bytes, readingNs: ns, clusters, units, beside });

/** Tokens differ in what they lack: what one like this would have taken before the change. */
const asBefore = (setting: AdaptSetting, trial: Trial, seen: Token, rates: Rates): number => {
  const of = (need: Need): number => {
    const { reads, bytes } = workOf(setting, need, trial.from);
    return readingNs(rates, reads, bytes);
  };
  const before = of(trial);
  return before > 0 ? trial.wallNs * (of(seen) / before) : trial.wallNs;
};

/** How a change turned out: with two ways measured the rates are known, and a third way is tried if by them it may be better. */
const judge = (setting: AdaptSetting, state: Adapting, trial: Trial, seen: Token, decided: (verdict: Verdict, cause: Cause, to: GateReads, rates: Rates, saves: Decision["saves"]) => Decision): Adapted => {
  const suspects = solved(state.rates, trial, seen);
  const rates = suspects[0];
  const beforeNs = asBefore(setting, trial, seen, rates);
  const better = seen.wallNs < beforeNs;
  const judged = [...state.judged, state.gates, trial.from];
  const settled: Adapting = { ...state, rates, computeNs: null, storage: IN_ORDER, kernels: IN_ORDER, trial: null, judged };
  const measured = (beforeNs - seen.wallNs) / beforeNs;
  const third = most(optionsOf(setting, seen, seen.computeNs, state.gates, judged, suspects), (option) => option.most);
  // What it has to beat is the better of the two that were measured.
  const beats = third === null ? 0 : third.most - Math.max(0, (seen.wallNs - beforeNs) / seen.wallNs);
  if (third !== null && beats >= LEAST_GAIN) {
    const before = better ? trialOf(state.gates, seen) : trial;
    return { state: { ...settled, gates: third.way, trial: before }, decision: decided("tried", "trial", third.way, rates, { least: third.least, most: third.most }) };
  }
  const to = better ? state.gates : trial.from;
  return { state: { ...settled, gates: to }, decision: decided(better ? "kept" : "returned", "trial", to, rates, { least: measured, most: measured }) };
};
