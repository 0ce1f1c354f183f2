/** What was made and what the engine sees of it, for people and for programs. Pure. */
import { E, type Either } from "../../../sim/base/fp.js";
import { showBytes } from "../../../sim/base/units.js";
import { table } from "../../../sim/report/table.js";
import type { PlantedRow, SynthReport, SynthRequest, VerifyReport } from "../../../engine/index.js";
import { inFormat, type Answer, type Format } from "../../program.js";

export type Verified = VerifyReport;

export interface Synthesised {
  readonly file: string;
  /** null where a file was only checked. */
  readonly made: { readonly written: SynthReport; readonly request: SynthRequest } | null;
  readonly notPlanted: ReadonlyArray<string>;
}

const four = (value: number | undefined): string => (value === undefined ? "--" : value.toFixed(4));

const rowOf = (row: PlantedRow): ReadonlyArray<string> => [row.what, four(row.planted), four(row.measured), row.low === undefined || row.high === undefined ? "" : `${four(row.low)} to ${four(row.high)}`, `±${four(row.tolerance)}`, row.holds ? "" : "MISSED"];

const right = (title: string) => ({ title, align: "right" as const });

const verdict = ({ rows, tokens, seconds }: Verified): string => {
  const missed = rows.filter((row) => !row.holds).length;
  const by = `by ${tokens} tokens in ${seconds.toFixed(1)} s`;
  if (rows.length === 0) return "nothing is planted in this model: all its neurons are active for every token";
  return missed === 0 ? `all ${rows.length} statistics are as planted, ${by}` : `${missed} of ${rows.length} statistics MISSED what was planted, ${by}; the skew reads low with few tokens: see --verify-tokens`;
};

const describeVerified = (verified: Verified): ReadonlyArray<string> => [
  ...(verified.rows.length === 0 ? [] : [table([{ title: "statistic" }, right("planted"), right("measured"), { title: "by layer" }, right("tolerance"), { title: "" }], verified.rows.map(rowOf)), ""]),
  verdict(verified),
  ...verified.unverified.map(({ what, planted }) => `${what}: planted ${planted}, not verified`),
];

const describeMade = (file: string, { written, request }: NonNullable<Synthesised["made"]>): ReadonlyArray<string> => {
  const experts = request.experts === 1 ? "" : `, ${request.expertsUsed} of ${request.experts} experts`;
  return [
    `${file}: ${showBytes(written.bytes)} in ${written.seconds.toFixed(1)} s`,
    `${request.architecture}, ${request.activation}, ${request.weights}; ${request.layers} ${request.layers === 1 ? "layer" : "layers"} of ${request.neurons} neurons${experts}, hidden ${request.hidden}, vocabulary ${request.vocabulary}`,
    "",
  ];
};

export const describeSynth = (format: Format, { file, made, notPlanted }: Synthesised) => (verified: Either<string, Verified>): Answer => {
  const text = [
    ...(made === null ? [] : describeMade(file, made)),
    ...(E.isRight(verified) ? describeVerified(verified.right) : [verified.left]),
    ...(notPlanted.length === 0 ? [] : [`not planted: ${notPlanted.join("; ")}`]),
  ];
  const json = {
    file,
    bytes: made?.written.bytes ?? null,
    seconds: made?.written.seconds ?? null,
    inputs: made?.request ?? null,
    notPlanted,
    verified: E.isRight(verified) ? { ...verified.right, misses: verified.right.rows.filter((row) => !row.holds).length } : null,
    notVerified: E.isLeft(verified) ? verified.left : null,
  };
  return { stdout: inFormat(format, { text: text.join("\n"), json }) };
};
