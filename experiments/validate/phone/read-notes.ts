/** What stands beside the rows of a run: the phone's memory and heat (`.metrics`), the run's own words (`.log`), clocks and heat about it (`.state`). Pure. */
import { E, type Either } from "../../../sim/base/fp.js";
import { badInput, type AppError } from "../../../sim/base/errors.js";
import { linesOf, Mistakes, type Line } from "./read-lines.js";
import type { PhoneState, RecordedFile } from "./recorded.js";

const STATE_KEYS = ["peak_rss_kb", "mem_avail_before_kb", "mem_avail_floor_kb", "mem_avail_after_kb", "batt_temp_before_dC", "batt_temp_max_dC", "batt_temp_after_dC", "cpu_temp_before_mC", "cpu_temp_max_mC"];

const stateOf = (mistakes: Mistakes, path: string, lines: ReadonlyArray<Line>): PhoneState => {
  const values = mistakes.pairs("(whole)", lines.map(({ text }) => text).join(" "), STATE_KEYS);
  const numbers = new Map([...values].map(([key, typed]) => [key, mistakes.number(key, typed)]));
  const of = (key: string): number => numbers.get(key) ?? NaN;
  return { path, leastAvailable: of("mem_avail_floor_kb") * 1024, availableBefore: of("mem_avail_before_kb") * 1024, batteryC: of("batt_temp_before_dC") / 10 };
};

const done = <A>(path: string, mistakes: Mistakes, value: A): Either<AppError, A> => (mistakes.all.length > 0 ? E.left(badInput(path, mistakes.all)) : E.right(value));

export const readState = ({ path, text }: RecordedFile): Either<AppError, PhoneState> => {
  const mistakes = new Mistakes();
  return done(path, mistakes, stateOf(mistakes, path, linesOf(text)));
};

/** Each line that a run may say, once; the rows hold the same and more, so the numbers are not used again. */
const SAID: ReadonlyArray<readonly [what: string, form: RegExp]> = [
  ["generation", /^generation: \d+ tokens, [\d.]+ s\/token \([\d.]+ tok\/s\)$/],
  ["prefill", /^prefill: \d+ tokens, [\d.]+ s \([\d.]+ tok\/s\) \| model load [\d.]+ s \| TTFT [\d.]+ s$/],
  ["moe-stream", /^moe-stream: read [\d.]+ MiB \([\d.]+ MiB\/token\), decode [\d.]+ s\/token \(compute [\d.]+ \+ (?:cache mgmt [\d.]+ \+ )?flash I\/O [\d.]+ s\/token, \d+ MiB\/s\)$/],
  ["moe-cache", /^moe-cache: [\d.]+% hit, resident [\d.]+ MiB(?:, budget \d+ MiB \(auto, resized \d+×\))?$/],
  ["moe-overlap", /^moe-overlap: stall [\d.]+ s\/token \(flash reads overlapped with FFN compute\)$/],
  ["moe-prefetch", /^moe-prefetch: [\d.]+ MiB speculative, \d+\/\d+ experts useful \(\d+%\)$/],
  ["moe-spec-gate", /^moe-spec-gate: \d+% router prediction recall \(auto-disabled below \d+%\)$/],
];

export const readLog = ({ path, text }: RecordedFile): Either<AppError, PhoneState> => {
  const mistakes = new Mistakes();
  const lines = linesOf(text);
  const isState = (line: Line): boolean => STATE_KEYS.some((key) => line.text.startsWith(`${key}=`));
  for (const { place, text: said } of lines.filter((line) => !isState(line))) if (!SAID.some(([, form]) => form.test(said))) mistakes.add(place, `is nothing that a run is known to say: ${said}`);
  for (const what of ["generation", "prefill"]) if (!lines.some(({ text: said }) => said.startsWith(`${what}: `))) mistakes.add(what, "is missing");
  return done(path, mistakes, stateOf(mistakes, path, lines.filter(isState)));
};

const ABOUT: ReadonlyArray<RegExp> = [
  /^--- (?:BEFORE|AFTER) ---$/, /^date: .+$/, /^policy\d+: scaling_max=\d+ hw_max=\d+ cur=\d+$/, /^meminfo: MemFree: +\d+ kB MemAvailable: +\d+ kB Cached: +\d+ kB ?$/,
  /^battery_temp_dC: ?\d*$/, /^Thermal Status: \d+$/, /^\tTemperature\{mValue=[\d.]+, mType=\d+, mName=\w+, mStatus=\d+\}$/,
];

/** Clocks and temperatures about a run: looked through, and not used. */
export const readAbout = ({ path, text }: RecordedFile): Either<AppError, null> => {
  const mistakes = new Mistakes();
  for (const { place, text: said } of linesOf(text)) if (!ABOUT.some((form) => form.test(said))) mistakes.add(place, `is no line that is known of such a file: ${said}`);
  return done(path, mistakes, null);
};
