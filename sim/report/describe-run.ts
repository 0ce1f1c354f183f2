/** A run record to what a person reads (text) and what a program reads (JSON). Pure. */
import { showBytes } from "../base/units.js";
import { encodePlan, residentBytes } from "../domain/plan.js";
import { encodeRequest, type LaneUse, type MeasuredRun, type MemoryRequest, type RunRecord, type SimulatedRun } from "../domain/run.js";
import { describeAdaptation } from "./describe-adaptation.js";
import { indented, showNumber, showShare, table } from "./table.js";

const showMemory = (memory: MemoryRequest): string => {
  switch (memory._tag) {
    case "Bytes":
      return showBytes(memory.bytes);
    case "OffloadFfn":
      return `${showNumber(100 * memory.share)}% of the FFN on flash`;
    case "All":
      return "everything resident";
  }
};

const PARTS: Readonly<Record<keyof RunRecord["plan"]["cache"], string>> = {
  fixed: "attention, embedding and head",
  predictors: "predictors",
  scales: "FFN scales",
  kv: "KV cache",
  runtime: "runtime",
  hot: "hot segment",
  cold: "cold segment",
};

/** Memory by part, largest first; the parts sum to what the process holds. */
export const memoryByPart = (record: RunRecord): ReadonlyArray<{ readonly part: string; readonly bytes: number }> =>
  (Object.keys(PARTS) as ReadonlyArray<keyof typeof PARTS>)
    .map((key) => ({ part: PARTS[key], bytes: record.plan.cache[key] }))
    .sort((a, b) => b.bytes - a.bytes);

const breakdownTable = (record: RunRecord): string => {
  const totalNs = record.breakdown.reduce((sum, row) => sum + row.nsPerToken, 0);
  const ms = (ns: number): string => (ns / 1e6).toFixed(totalNs < 1e7 ? 3 : 2);
  const shown = record.breakdown.filter((row) => row.nsPerToken > 0).sort((a, b) => b.nsPerToken - a.nsPerToken);
  return table(
    [{ title: record.origin === "simulated" ? "critical path" : "compute threads" }, { title: "ms/token", align: "right" }, { title: "share", align: "right" }],
    [...shown.map((row) => [row.activity, ms(row.nsPerToken), showShare(row.nsPerToken / totalNs)]), ["token time", ms(totalNs), showShare(1)]],
  );
};

/** A lane that any number of things may use at once is a count and not a resource: no share of it can be busy. */
const unlimited = (lane: LaneUse): boolean => lane.servers >= 4096;

/** Share of a lane's servers that is busy; null for a lane without a limit. */
export const busyShare = (lane: LaneUse, wallNs: number): number | null => (unlimited(lane) ? null : lane.busyNs / (wallNs * lane.servers));

const lanesTable = (record: RunRecord): string => {
  const idle = record.lanes.filter((lane) => lane.busyNs === 0).map((lane) => lane.lane);
  const used = table(
    [{ title: "lane" }, { title: "busy", align: "right" }, { title: "" }],
    record.lanes
      .filter((lane) => lane.busyNs > 0)
      .map((lane) => {
        const share = busyShare(lane, record.wallNs);
        return [lane.lane, share === null ? "" : showShare(share), share === null ? `${showNumber(lane.busyNs / record.wallNs)} at a time` : lane.servers === 1 ? "" : `of ${lane.servers}`];
      }),
  );
  return idle.length === 0 ? used : `${used}\nidle: ${idle.join(", ")}`;
};

const memoryTable = (record: RunRecord): string => {
  const { memory } = record.plan;
  const row = (part: string, bytes: number): ReadonlyArray<string> => [part, showBytes(bytes), showShare(bytes / memory)];
  const unused = memory - residentBytes(record.plan);
  return table(
    [{ title: "memory" }, { title: "size", align: "right" }, { title: "share", align: "right" }],
    [...memoryByPart(record).filter(({ bytes }) => bytes > 0).map(({ part, bytes }) => row(part, bytes)), ...(unused > memory / 1000 ? [row("unused", unused)] : []), row("allowed", memory)],
  );
};

const heading = (record: RunRecord): ReadonlyArray<string> => {
  const { inputs } = record;
  const work = inputs.phase === "prefill" ? `prefill of ${inputs.prompt} tokens` : `decode of ${inputs.tokens} tokens after ${inputs.prompt}${inputs.batch === 1 ? "" : `, batch ${inputs.batch}`}`;
  const switched = Object.entries(("mechanisms" in inputs ? inputs.mechanisms : undefined) ?? {}).map(([key, value]) => `${key}=${value}`);
  return [
    `${inputs.model} on ${inputs.device} with ${inputs.system}, ${showMemory(inputs.memory)}`,
    `${record.origin}: ${work};${inputs.fidelity === null ? "" : ` fidelity ${inputs.fidelity},`} seed ${inputs.seed}${switched.length === 0 ? "" : `; switched ${switched.join(", ")}`}`,
  ];
};

/** What only a model of a phone knows. */
const modelled = (record: SimulatedRun): ReadonlyArray<readonly [string, string]> => [
  ["dram", `${showBytes(record.dramBytesPerToken)} per token, ${showNumber(record.dramBandwidth)} GB/s; compute threads busy ${showShare(record.cpuUtilisation)}`],
  ["energy", `${showNumber(record.energy.joulesPerToken)} J/token; ${showNumber(record.energy.meanWatts)} W mean, ${showNumber(record.energy.peakWatts)} W peak; hottest ${showNumber(record.energy.hottestC)} C`],
];

/** What only a machine knows. */
const machine = ({ engine, cpuUtilisation }: MeasuredRun): ReadonlyArray<readonly [string, string]> => [
  ["cpu", `${engine.kernels} kernels, FFNs ${engine.ffn}, ${engine.labels.join(", ")}; compute threads busy ${showShare(cpuUtilisation)}`],
  ...(engine.reads === null ? [] : [["reads", `${engine.reads}${engine.shaped === null ? "" : `; slowed down to ${engine.shaped.device}, ${showShare(engine.shaped.lateShare)} of reads later than there`}`] as const]),
];

const boundsOf = ({ tokensPerSec, bound }: RunRecord): string =>
  bound === null ? "" : `; bounds ${showNumber(bound.lower)} (nothing overlaps) to ${showNumber(bound.upper)} (everything does)${bound.upper > 0 ? `, ${showShare(tokensPerSec / bound.upper)} of the upper` : ""}`;

const headline = (record: RunRecord): string => {
  const { msPerToken: ms } = record;
  const cells: ReadonlyArray<readonly [string, string]> = [
    ["speed", `${showNumber(record.tokensPerSec)} tokens/s${boundsOf(record)}`],
    ["latency", `mean ${showNumber(ms.mean)} ms; p50 ${showNumber(ms.p50)}, p90 ${showNumber(ms.p90)}, p99 ${showNumber(ms.p99)}, max ${showNumber(ms.max)}`],
    ["flash", `${showBytes(record.bytesReadPerToken)} read per token; cache hits ${showShare(record.cacheHitRate)} of active neurons${record.missOfComputed === null ? "" : `, misses ${showShare(record.missOfComputed.mean)} of computed`}; exposed I/O ${showShare(record.exposedIoShare)}`],
    ...(record.predictor === null ? [] : [["neurons", `predictor selects ${showNumber(record.predictor.selected)} of the CPU's rows a token; ${showNumber(record.predictor.inVain)} in vain, ${showNumber(record.predictor.lost)} that would fire are lost`] as const]),
    ...(record.origin === "simulated" ? modelled(record) : machine(record)),
  ];
  return cells.map(([name, text]) => `${name.padEnd(9)}${text}`).join("\n");
};

/** `timeline` is the last line: where the timeline is, or what to type to get one. */
export const describeRun = (record: RunRecord, options: { readonly timeline: string }): string => {
  const limits = record.limits?.slice(0, 3).map((limit) => `${limit.part} (${showShare(limit.share)} of the critical path)`);
  return [
    ...heading(record),
    "",
    headline(record),
    "",
    breakdownTable(record),
    "",
    lanesTable(record),
    "",
    memoryTable(record),
    "",
    ...(limits === undefined ? [] : [`limited by ${limits.length === 0 ? "nothing in particular" : limits.join(", then ")}`]),
    ...describeAdaptation(record.adaptation),
    ...(record.violations.length === 0 ? [] : ["", "this run broke its own checks; do not trust its numbers:", indented(record.violations.join("\n"))]),
    `timeline: ${options.timeline}`,
  ].join("\n");
};

/** The stable JSON of one run: all of the record but its spans and token rows. */
export const summaryOf = (record: RunRecord): Readonly<Record<string, unknown>> => {
  const total = record.breakdown.reduce((sum, row) => sum + row.nsPerToken, 0);
  return {
    schema: "neuronlab/summary@1",
    origin: record.origin,
    tokensPerSec: record.tokensPerSec,
    msPerToken: record.msPerToken,
    bytesReadPerToken: record.bytesReadPerToken,
    cacheHitRate: record.cacheHitRate,
    missOfComputed: record.missOfComputed,
    joulesPerToken: record.energy?.joulesPerToken ?? null,
    bound: record.bound,
    breakdown: record.breakdown.map((row) => ({ activity: row.activity, msPerToken: row.nsPerToken / 1e6, share: total > 0 ? row.nsPerToken / total : 0 })),
    exposedIoShare: record.exposedIoShare,
    cpuUtilisation: record.cpuUtilisation,
    dramBytesPerToken: record.dramBytesPerToken,
    dramGBPerSec: record.dramBandwidth,
    energy: record.energy,
    lanes: record.lanes.map((lane) => ({ lane: lane.lane, servers: unlimited(lane) ? null : lane.servers, busyShare: busyShare(lane, record.wallNs), meanInUse: lane.busyNs / record.wallNs })),
    limits: record.limits,
    memory: memoryByPart(record),
    wallMs: record.wallNs / 1e6,
    violations: record.violations,
    adaptation: record.adaptation,
    ...(record.origin === "measured" ? { engine: record.engine } : {}),
    inputs: encodeRequest(record.inputs),
    plan: encodePlan(record.plan),
  };
};
