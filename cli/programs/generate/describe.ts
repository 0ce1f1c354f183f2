/** What a generation cost, for people and for programs. Pure. */
import { showBytes, showNs } from "../../../sim/base/units.js";
import { describeAdaptation } from "../../../sim/report/describe-adaptation.js";
import { table } from "../../../sim/report/table.js";
import type { GenerateReport, GenerateRequest, MemoryShare, PhaseReport, ReadsReport } from "../../../engine/index.js";

const STOPS = { length: "as many tokens as asked for", end: "the model ended the text", context: "the context is full", cancelled: "interrupted" } as const;

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
const speed = (rate: number | undefined): string => (rate === undefined ? "--" : `${rate >= 100 ? rate.toFixed(0) : rate.toFixed(2)} tokens/s`);

const hitRate = (phase: PhaseReport): number | null => {
  const looked = phase.gateLookUps + phase.lookUps;
  return looked === 0 ? null : 1 - (phase.gateMisses + phase.misses) / looked;
};

/** Forward passes of decode: the first token comes from the prompt's. */
const passes = (report: GenerateReport): number => Math.max(report.tokens.length - 1, 0);

/** The value below which a share of the sorted numbers lies, by nearest rank. */
const quantile = (sorted: ReadonlyArray<number>, share: number): number => sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? 0;

const msPerToken = (report: GenerateReport) => {
  const ns = report.tokenNs.slice(1).sort((a, b) => a - b);
  if (ns.length === 0) return null;
  const ms = (value: number): number => value / 1e6;
  return { mean: ms(ns.reduce((sum, one) => sum + one, 0) / ns.length), p50: ms(quantile(ns, 0.5)), p90: ms(quantile(ns, 0.9)), p99: ms(quantile(ns, 0.99)), max: ms(ns.at(-1)!) };
};

/** `shapedTo`: the device that reads were slowed down to. */
const shapedOf = (report: GenerateReport, shapedTo: string | null): { readonly device: string; readonly lateShare: number; readonly lateNsEach: number } | null => {
  const shaped = report.reads?.shaped;
  return shapedTo === null || shaped === undefined ? null : { device: shapedTo, lateShare: shaped.reads === 0 ? 0 : shaped.late / shaped.reads, lateNsEach: shaped.late === 0 ? 0 : shaped.lateNs / shaped.late };
};

const shapedLine = (report: GenerateReport, shapedTo: string | null): ReadonlyArray<string> => {
  const shaped = shapedOf(report, shapedTo);
  return shaped === null ? [] : [`flash: slowed down to ${shaped.device}; ${percent(shaped.lateShare)} of reads were later than there${shaped.lateShare === 0 ? "" : `, by ${showNs(shaped.lateNsEach)} each`}`];
};

/** What filled the cache is none of the tokens' reading. */
const preloadedLine = (preloaded: ReadsReport["preloaded"]): ReadonlyArray<string> =>
  preloaded === undefined ? [] : [`preloaded: ${showBytes(preloaded.bytes)} in ${preloaded.count} reads before the first token, which are not among those`];

const total = (parts: GenerateReport["fixed"]): number => parts.reduce((sum, part) => sum + part.bytes, 0);

const segments = (phase: string, { parts, hot, cold }: MemoryShare): string => `${phase} ${showBytes(total(parts))}, hot segment ${showBytes(hot)}, cold segment ${showBytes(cold)}`;

export const describeGeneration = (report: GenerateReport, shapedTo: string | null = null): string => {
  const per = (tokens: number) => (ns: number): string => (tokens === 0 ? "--" : showNs(ns / tokens));
  const row = (name: string, phase: PhaseReport, tokens: number, rate: number | undefined): ReadonlyArray<string> => {
    const each = per(tokens);
    const hits = hitRate(phase);
    return [name, String(tokens), speed(rate), each(phase.ffnNs), each(Math.max(phase.ns - phase.ffnNs, 0)), ...(report.reads === undefined ? [] : [each(phase.diskNs), tokens === 0 ? "--" : showBytes(phase.diskBytes / tokens), hits === null ? "--" : percent(hits)])];
  };
  const right = (title: string) => ({ title, align: "right" as const });
  const columns = [{ title: "phase" }, right("tokens"), right("speed"), right("FFN a token"), right("rest a token"), ...(report.reads === undefined ? [] : [right("disk busy"), right("read a token"), right("cache hits")])];
  const memory = [
    `${showBytes(total(report.fixed))} set aside beside the FFNs`,
    ...(report.phases === undefined ? [`FFNs ${showBytes(report.ffnBytes)}`] : [segments("prefill", report.phases.prefill), segments("decode", report.phases.decode)]),
    ...(report.memory === undefined ? [] : [`allowed ${showBytes(report.memory)}`]),
    ...(report.peakResident === undefined ? [] : [`peak of the process ${showBytes(report.peakResident)}`]),
  ];
  return [
    table(columns, [row("prefill", report.prompt, report.promptTokens, report.promptRate), row("decode", report.decode, passes(report), report.decodeRate)]),
    "",
    `${report.architecture}, FFNs ${report.ffn}, ${report.labels.join(", ")}; ${report.kernels} kernels, ${report.threads} ${report.threads === 1 ? "thread" : "threads"}; loaded in ${showNs(report.loadNs)}`,
    `memory: ${memory.join("; ")}`,
    ...(report.reads === undefined ? [] : [`reads: ${report.reads.backend}; ${report.reads.count}, half within ${showNs(report.reads.p50Ns)}, 99% within ${showNs(report.reads.p99Ns)}`, ...preloadedLine(report.reads.preloaded)]),
    ...shapedLine(report, shapedTo),
    ...(report.fired === undefined ? [] : [`neurons that fired: ${percent(report.fired)}`]),
    ...(report.predicted === undefined ? [] : [`neurons that were predicted: ${percent(report.predicted)}${report.recall === undefined ? "" : `; of those that would have fired, ${percent(report.recall)} were`}`]),
    ...describeAdaptation(report.adaptation ?? null),
    `ended: ${STOPS[report.stop]}`,
  ].join("\n");
};

export const summaryOfGeneration = (request: GenerateRequest, report: GenerateReport, unmapped: ReadonlyArray<string>, shapedTo: string | null = null): unknown => {
  const tokens = passes(report);
  const { prompt, decode } = report;
  const each = (value: number): number | null => (tokens === 0 ? null : value / tokens);
  const ms = (ns: number): number | null => (tokens === 0 ? null : ns / tokens / 1e6);
  return {
    origin: "measured",
    text: report.text,
    tokens: report.tokens,
    stop: report.stop,
    labels: report.labels,
    tokensPerSec: report.decodeRate ?? null,
    prefillTokensPerSec: report.promptRate,
    promptTokens: report.promptTokens,
    msPerToken: msPerToken(report),
    tokenMs: report.tokenNs.map((ns) => ns / 1e6),
    bytesReadPerToken: each(decode.diskBytes),
    cacheHitRate: hitRate(decode),
    firedShare: report.fired ?? null,
    predictedShare: report.predicted ?? null,
    predictorRecall: report.recall ?? null,
    breakdown: [
      { activity: "FFN", msPerToken: ms(decode.ffnNs) },
      { activity: "rest", msPerToken: ms(Math.max(decode.ns - decode.ffnNs, 0)) },
    ],
    phases: { prefill: prompt, decode },
    reads: report.reads ?? null,
    shapedTo: shapedOf(report, shapedTo),
    memory: { allowed: report.memory ?? null, fixed: report.fixed, ffnBytes: report.ffnBytes, hot: report.hot, cold: report.cold, phases: report.phases ?? null, peakResident: report.peakResident ?? null },
    engine: { architecture: report.architecture, file: report.file, ffn: report.ffn, kernels: report.kernels, threads: report.threads, loadMs: report.loadNs / 1e6 },
    adaptation: report.adaptation ?? null,
    seed: report.seed,
    inputs: request,
    unmapped,
  };
};
