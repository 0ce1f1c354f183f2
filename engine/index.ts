/**
 * The engine's one TypeScript face. Its calls run off the main thread, tell what they do while they do it, and end soon
 * after their signal is aborted. Failures are values; only a fault of ours in this folder would throw.
 */
import { bench, type Bench } from "./bench.js";
import { generate, type Generate } from "./generate.js";
import { pack, type Pack } from "./pack.js";
import { probe, type Probe } from "./probe.js";
import { perplexity, type Perplexity } from "./perplexity.js";
import { record, type Recorder } from "./record.js";
import { replay, type Replay } from "./replay.js";
import { trainPredictor, type TrainPredictor } from "./train-predictor.js";
import { synth, verify, type Synth, type Verify } from "./synth.js";

export type { AdaptRequest, DecisionReport } from "./adapting.js";
export { nativePath, type Part } from "./binding.js";
export type { Hooks } from "./call.js";
export type { BenchReport, BenchRequest, BenchStep, BenchTestReport } from "./bench.js";
export { FFNS, GRANULARITIES, KV_FORMATS, OVERLAPS, POLICIES, type GenerateReport, type GenerateRequest, type FlashShape, type GenerateStep, type MemoryPhases, type MemoryShare, type PhaseReport, type PlannedModel, type ReadsReport, type RunSetting, type ShapedReport, type SpentReport, type TimelineReport } from "./generate.js";
export { ARRANGEMENTS, DOWN_FORMS, type PackReport, type PackRequest, type PackStep } from "./pack.js";
export { DEPTHS, PROBE_PARTS, type ProbeReport, type ProbeRequest, type ProbeStep } from "./probe.js";
export type { PerplexityReport, PerplexityRequest, PerplexityStep } from "./perplexity.js";
export type { RecordReport, RecordRequest } from "./record.js";
export { END_TOKEN, MOST_KEYS, OUTCOMES, REPLAY_POLICIES, type ReplayReport, type ReplayRequest, type ReplayRow, type ReplayStep } from "./replay.js";
export { HIDDENS, PREDICTOR_WEIGHTS, type PredictorShares, type TrainReport, type TrainRequest, type TrainStep } from "./train-predictor.js";
export { ACTIVATIONS, ARCHITECTURES, WEIGHTS, type PlantedRow, type SynthReport, type SynthRequest, type SynthStep, type UnverifiedRow, type VerifyReport, type VerifyRequest } from "./synth.js";

export interface Engine {
  readonly pack: Pack;
  readonly trainPredictor: TrainPredictor;
  readonly generate: Generate;
  readonly bench: Bench;
  readonly probe: Probe;
  readonly perplexity: Perplexity;
  readonly record: Recorder;
  readonly replay: Replay;
  readonly synth: Synth;
  readonly verify: Verify;
}

export const engine: Engine = { pack, trainPredictor, generate, bench, perplexity, probe, record, replay, synth, verify };
