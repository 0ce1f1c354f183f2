/** What a run of the engine left, as the record that the simulator writes too. Pure. */
import { basename } from "node:path";
import type { Plan } from "../../../sim/domain/plan.js";
import { ACTIVITIES, READS, type Activity, type LaneUse, type MeasuredRun, type Phase, type SpanRow, type TokenRow } from "../../../sim/domain/run.js";
import { latencyOf } from "../../../sim/inference/run-record.js";
import type { GenerateReport, GenerateRequest, SpentReport, TimelineReport } from "../../../engine/index.js";
import { measuredPlan } from "./measured-plan.js";

/** Where runs of the engine are made, until a probe gives the machine a name. */
const HOST = "this-host";
/** This engine, as the simulator knows it. */
const SYSTEM = "neuronlab";
/** As many at once as there may be: a lane that is a count. (The simulator's number.) */
const UNLIMITED = 1 << 20;

const IN_ROW = { numbers: 4, took: 0, bytes: 1, lookUps: 2, misses: 3 } as const;
const IN_SPAN = { numbers: 6, lane: 0, what: 1, start: 2, end: 3, token: 4, layer: 5 } as const;

const rowsOf = ({ rows }: TimelineReport): ReadonlyArray<TokenRow> =>
  Array.from({ length: rows.length / IN_ROW.numbers }, (_, i) => {
    const at = (column: number): number => rows[i * IN_ROW.numbers + column]!;
    return { latencyNs: at(IN_ROW.took), bytesRead: at(IN_ROW.bytes), lookups: at(IN_ROW.lookUps), misses: at(IN_ROW.misses) };
  });

const isActivity = (name: string): name is Activity => (ACTIVITIES as ReadonlyArray<string>).includes(name);

const activitiesOf = ({ activities }: TimelineReport): ReadonlyArray<Activity> => activities.map((name) => (isActivity(name) ? name : "wait"));

const lanesOf = (threads: number): ReadonlyArray<string> => [...Array.from({ length: threads }, (_, i) => `cpu ${i}`), "cpu all threads", "reads in flight"];

/** All spans that were kept, those of the prompt too (token -1), in nanoseconds since the first. */
export const measuredSpans = (report: GenerateReport): ReadonlyArray<SpanRow> => {
  const { timeline } = report;
  if (timeline === undefined) return [];
  const whats = activitiesOf(timeline);
  const lanes = lanesOf(report.threads);
  const { spans } = timeline;
  const rows: Array<SpanRow> = [];
  let first = Infinity;
  for (let i = 0; i < spans.length; i += IN_SPAN.numbers) first = Math.min(first, spans[i + IN_SPAN.start]!);
  for (let i = 0; i < spans.length; i += IN_SPAN.numbers)
    rows.push({
      lane: lanes[spans[i + IN_SPAN.lane]!]!,
      what: whats[spans[i + IN_SPAN.what]!]!,
      startNs: spans[i + IN_SPAN.start]! - first,
      endNs: spans[i + IN_SPAN.end]! - first,
      token: spans[i + IN_SPAN.token]!,
      layer: spans[i + IN_SPAN.layer]!,
      critical: null,
    });
  return rows;
};

/** Those of one phase, from its first on. */
const spansOfPhase = (report: GenerateReport, phase: Phase): ReadonlyArray<SpanRow> => {
  const rows = measuredSpans(report).filter((span) => (span.token < 0) === (phase === "prefill"));
  const first = rows.reduce((least, span) => Math.min(least, span.startNs), Infinity);
  return rows.map((span) => ({ ...span, startNs: span.startNs - first, endNs: span.endNs - first }));
};

/** The wall time as the mean compute thread spent it; what is left is "merge". */
const breakdownOf = (spent: SpentReport, whats: ReadonlyArray<Activity>, threads: number, tokens: number): MeasuredRun["breakdown"] => {
  const each = whats.map((activity, i) => ({ activity, ns: spent.byActivity[i]! / threads })).filter(({ activity }) => !READS.includes(activity));
  const left = Math.max(0, spent.ns - each.reduce((sum, { ns }) => sum + ns, 0));
  return [...each, { activity: "merge" as const, ns: left }].filter(({ ns }) => ns > 0).map(({ activity, ns }) => ({ activity, nsPerToken: ns / tokens }));
};

const laneUses = (spent: SpentReport, whats: ReadonlyArray<Activity>, hasReads: boolean): ReadonlyArray<LaneUse> => {
  const reads = spent.byActivity.reduce((sum, ns, i) => sum + (READS.includes(whats[i]!) ? ns : 0), 0);
  return [
    ...spent.byThread.map((busyNs, i) => ({ lane: `cpu ${i}`, busyNs, servers: 1 })),
    { lane: "cpu all threads", busyNs: spent.together, servers: 1 },
    ...(hasReads ? [{ lane: "flash", busyNs: spent.reading, servers: 1 }, { lane: "reads in flight", busyNs: reads, servers: UNLIMITED }] : []),
  ];
};

const firstToken = (spans: ReadonlyArray<SpanRow>): number => Math.max(0, spans.reduce((least, { token }) => Math.min(least, token), spans.length === 0 ? 0 : Infinity));

const sum = (rows: ReadonlyArray<TokenRow>, of: (row: TokenRow) => number): number => rows.reduce((total, row) => total + of(row), 0);

export interface Ran {
  readonly request: GenerateRequest;
  readonly report: GenerateReport;
  /** The plan that was given, if one was. */
  readonly given: Plan | null;
  /** The device that the disk was slowed down to. */
  readonly shapedTo: string | null;
}

/** Of decode; of prefill where no pass of decode was made. null for a run that was not traced. */
export const measuredRun = ({ request, report, given, shapedTo }: Ran): MeasuredRun | null => {
  const { timeline } = report;
  if (timeline === undefined) return null;
  const rows = rowsOf(timeline);
  const phase: Phase = rows.length > 0 ? "decode" : "prefill";
  const spent = phase === "decode" ? timeline.decode : timeline.prompt;
  const tokens = phase === "decode" ? rows.length : report.promptTokens;
  const bytesRead = phase === "decode" ? sum(rows, (row) => row.bytesRead) : report.prompt.diskBytes;
  const [lookups, misses] = [sum(rows, (row) => row.lookups), sum(rows, (row) => row.misses)];
  const whats = activitiesOf(timeline);
  const hasReads = report.reads !== undefined;
  const on = { device: HOST, model: basename(request.model), system: given?.system ?? SYSTEM };
  const shaped = report.reads?.shaped;
  const spans = spansOfPhase(report, phase);
  return {
    schema: "neuronlab/run@1",
    origin: "measured",
    inputs: { ...on, memory: request.memory === null ? { _tag: "All" } : { _tag: "Bytes", bytes: request.memory }, phase, prompt: report.promptTokens, tokens: rows.length, batch: 1, seed: report.seed, fidelity: null },
    plan: measuredPlan(request, report, given, on),
    tokensPerSec: (tokens / spent.ns) * 1e9,
    wallNs: spent.ns,
    msPerToken: latencyOf(phase === "decode" ? rows.map((row) => row.latencyNs / 1e6) : [spent.ns / 1e6 / tokens]),
    tokens: rows,
    bytesReadPerToken: bytesRead / tokens,
    cacheHitRate: lookups > 0 ? 1 - misses / lookups : bytesRead > 0 ? 0 : 1,
    predictor: null,
    breakdown: breakdownOf(spent, whats, report.threads, tokens),
    exposedIoShare: spent.exposed / spent.ns,
    lanes: laneUses(spent, whats, hasReads),
    cpuUtilisation: (spent.byThread.reduce((total, ns) => total + ns, 0) + spent.together * report.threads) / (spent.ns * report.threads),
    adaptation: report.adaptation ?? null,
    violations: [],
    spans,
    engine: {
      architecture: report.architecture,
      ffn: report.ffn,
      labels: report.labels,
      kernels: report.kernels,
      policy: request.policy,
      granularity: request.granularity,
      reads: report.reads?.backend ?? null,
      shaped: shapedTo === null || shaped === undefined ? null : { device: shapedTo, reads: shaped.reads, lateShare: shaped.reads === 0 ? 0 : shaped.late / shaped.reads },
      cores: request.cores,
      spansBegin: firstToken(spans),
      spansLost: timeline.lost,
      peakResident: report.peakResident ?? null,
    },
    missOfComputed: null,
    dramBytesPerToken: null,
    dramBandwidth: null,
    energy: null,
    bound: null,
    limits: null,
  };
};
