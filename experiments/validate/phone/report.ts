/** A phone's validation to a table, a page, a picture, JSON and rows, as values. Pure but for what is handed in. */
import { drawValidation } from "../../plots/validation.js";
import { formatProfile } from "../../calibration/profile-json.js";
import { summaryOf, type Summary } from "../compare.js";
import { markdown, padded, percent, plain, written, type Tools, type ValidationReport } from "../words.js";
import type { ReuseCurve } from "../../../sim/neurons/expert-reuse.js";
import { WARM_UP, LEAST_AVAILABLE, MOST_FAULTS, type PhoneRole } from "./cells.js";
import { overlapPairs, phoneReasonOf, type OverlapPair, type PhoneResult } from "./compare.js";
import type { PhoneFit } from "./fit.js";
import { demandMib } from "./predict.js";
import type { ModelSpec } from "../../../sim/domain/model.js";
import type { PolicyRow, ResidencyCheck } from "./replay.js";
import { findings } from "./findings.js";

/** Routing statistics of a trace, as a model's file has them. */
export interface RecordedReuse { readonly path: string; readonly model: string; readonly repeat: number; readonly ranks: ReadonlyArray<{ readonly points: ReuseCurve }> }

export interface PhoneValidation {
  readonly seed: number;
  readonly device: string;
  readonly models: ReadonlyMap<string, ModelSpec>;
  readonly results: ReadonlyArray<PhoneResult>;
  readonly fit: PhoneFit;
  readonly residency: ReadonlyArray<ResidencyCheck>;
  readonly policies: ReadonlyArray<PolicyRow>;
  readonly reuse: ReadonlyArray<RecordedReuse>;
}

const CITATION = "Helldez/BigMoeOnEdge, docs/bench-data, commit 2d4f2b1, Apache-2.0 (https://github.com/Helldez/BigMoeOnEdge)";

const settingOf = ({ cell: { setting: s } }: PhoneResult): string =>
  `${s.model}, ${s.expertsUsed} experts, ${!s.streams ? "mapped" : `${s.cacheMib === 0 ? "no cache" : `${s.cacheMib} MiB`}, ${s.lanes} lanes, ${s.overlaps ? "overlapped" : "serial"}`}`;

const ms = (value: number | null): string => (value === null ? "–" : value.toFixed(value < 10 ? 1 : 0));
const both = (predicted: number | null, measured: number | null, of: (value: number | null) => string = ms): string => (predicted === null && measured === null ? "–" : `${of(predicted)} / ${of(measured)}`);
const share = (value: number | null): string => (value === null ? "–" : plain(value));

const COLUMNS = ["cell", "role", "setting", "predicted", "recorded", "error", "of the middle token", "ms", "reads ms", "stall ms", "room ms", "rest ms", "MiB", "hit"] as const;

const rowOf = (result: PhoneResult): ReadonlyArray<string> => {
  const { predicted: p, measured: m } = result.parts;
  return [
    result.id, result.role, settingOf(result), result.predicted.toFixed(3), result.measured.toFixed(3), percent(result.signedError), percent(result.medianError),
    both(p.total, m.total), both(p.io, m.io), both(p.stall, m.stall), both(p.management, m.management), both(p.rest, m.rest), both(p.readMib, m.readMib), both(p.hitRate, m.hitRate, share),
  ];
};

const worstFirst = (results: ReadonlyArray<PhoneResult>): ReadonlyArray<PhoneResult> => [...results].sort((a, b) => Math.abs(b.signedError) - Math.abs(a.signedError) || (a.id < b.id ? -1 : 1));

const ROLES: ReadonlyArray<PhoneRole> = ["check", "calibration", "contaminated", "traced"];

const withRole = (results: ReadonlyArray<PhoneResult>, role: PhoneRole): ReadonlyArray<PhoneResult> => results.filter((result) => result.role === role);

/** Check cells of the way that the constants are of: a mapped file is another system's. */
const streamedChecks = (results: ReadonlyArray<PhoneResult>): ReadonlyArray<PhoneResult> => withRole(results, "check").filter(({ cell }) => cell.setting.streams);

/** Of the middle tokens, as `summaryOf` of the means. */
const ofMiddle = (results: ReadonlyArray<PhoneResult>): Summary =>
  summaryOf(results.map(({ medianError, parts }) => ({ signedError: medianError, predicted: 1e3 / parts.predicted.median, measured: 1e3 / parts.measured.median })));

const summaryLine = (what: string, s: Summary): string => `${what}: ${s.cells} ${s.cells === 1 ? "cell" : "cells"}, median ${plain(s.medianAbsError)}, mean ${plain(s.meanAbsError)}, worst ${plain(s.worstAbsError)}, Kendall's tau ${s.kendallTau.toFixed(3)}`;

const residencyLine = (check: ResidencyCheck): string =>
  `${check.path} at ${check.budgetMib} MiB: ${check.hits} hits of ${check.lookups} look-ups, recorded ${check.recordedHits}; ${check.differing === 0 ? "each look-up as recorded" : `${check.differing} look-ups differ`}; ${check.mib.toFixed(1)} MiB read, recorded ${check.recordedMib.toFixed(1)}`;

/** The largest difference of each policy, in points. */
const policyLines = (rows: ReadonlyArray<PolicyRow>): ReadonlyArray<ReadonlyArray<string>> =>
  [...new Set(rows.map(({ path }) => path))].flatMap((path) => [...new Set(rows.map(({ policy }) => policy))].map((policy) => {
    const of = rows.filter((row) => row.path === path && row.policy === policy);
    const off = of.map(({ recorded, ours }) => Math.abs(recorded - ours));
    const worst = of[off.indexOf(Math.max(...off))]!;
    return [path, policy, String(of.length), String(off.filter((by) => by < ROUNDED).length), Math.max(...off).toFixed(3), `${worst.budgetMib} MiB: ${worst.ours.toFixed(3)} %, recorded ${worst.recorded.toFixed(3)} %`];
  }));

/** Their rates have three decimals. */
const ROUNDED = 1e-3;

const pairLines = (pairs: ReadonlyArray<OverlapPair>): ReadonlyArray<ReadonlyArray<string>> =>
  pairs.map((pair) => [pair.id, pair.serial, ms(pair.measured), `${ms(pair.predicted)} (${percent(pair.predicted / pair.measured - 1)})`, `${ms(pair.slower)} (${percent(pair.slower / pair.measured - 1)})`, `${pair.gain.predicted.toFixed(2)} / ${pair.gain.measured.toFixed(2)}`]);
const PAIR_COLUMNS = ["overlapped", "serial", "recorded ms", "predicted ms", "the slower of reads and the rest", "serial over overlapped, predicted / recorded"] as const;

const cliffLines = ({ results, models }: PhoneValidation): ReadonlyArray<string> =>
  results.flatMap(({ id, cell: { setting }, parts: { predicted, measured } }) => {
    const demand = demandMib(models.get(setting.model)!, setting.expertsUsed);
    if (!setting.streams || setting.cacheMib === 0 || setting.cacheMib >= demand) return [];
    return [`${id}: ${setting.cacheMib} MiB for a demand of ${demand.toFixed(0)} MiB a token; hits predicted ${share(predicted.hitRate)}, recorded ${share(measured.hitRate)}`];
  });

const page = (validation: PhoneValidation): string => {
  const { results, fit, residency, policies } = validation;
  const pairs = overlapPairs(results);
  const cliff = cliffLines(validation);
  const list = (lines: ReadonlyArray<string>): string => lines.map((line) => `- ${line}`).join("\n");
  return `# Recorded runs of a phone, predicted

Written by \`neuronlab validate phone DIR --seed ${validation.seed}\` from ${CITATION}: runs of an engine that nobody here wrote, on a ${validation.device}. The recordings lie
outside this repository; what is here of them are facts and errors, with this citation. What is modelled and how stands in [docs/model.md](../../docs/model.md), section 3b.

${list(ROLES.flatMap((role) => (withRole(results, role).length === 0 ? [] : [summaryLine(role, summaryOf(withRole(results, role)))])))}
- ${summaryLine("check, without the mapped file", summaryOf(streamedChecks(results)))}; ${summaryLine("of the middle token instead of the mean", ofMiddle(streamedChecks(results)))}

![Predicted over recorded tokens/s](validation.png)

Dashed: 10 % off. Filled: check cells. Errors are predicted over recorded speed, less one; the first ${WARM_UP} tokens of each run are warm-up and left out on both sides.

**Roles.** By what was set and by the phone's state, never by an error: *calibration* are the clean serial runs, in which computing, reading and making room each stand alone; every
overlapped run is a *check*, and so is the mapped one. *Contaminated* are runs during which less than ${LEAST_AVAILABLE / 1e9} GB of memory were available, or with ${MOST_FAULTS} major page faults a token or more:
the system took pages away, which the model of this way of running does not have. *Traced* runs wrote their routing down meanwhile; their routing is used, and their times are only shown.

## All cells, worst first

Tokens/s, then predicted / recorded by component, of a token. *Reads*: serial, wall time blocked on them; overlapped, busy time of all lanes added up. *Stall*: wall time of an overlapped run in which nothing but reads goes on.
*Room*: making room in the cache (recorded from the second session on; before, it is within the rest). *Rest*: what is left of the wall time; the recording never measured computing by itself.
*Hit*: over these tokens; recorded, from the bytes.

${markdown(COLUMNS, worstFirst(results).map(rowOf))}

Worst of each role, and what is off:

${list(ROLES.flatMap((role) => worstFirst(withRole(results, role)).slice(0, role === "check" ? 5 : 2).map((result) => `${result.id} (${role}, ${result.cell.because}): ${percent(result.signedError)}; ${phoneReasonOf(result)}`)))}

${findings}

## Overlap

${pairs.length === 0 ? "No overlapped run here has a serial one of the same setting." : markdown(PAIR_COLUMNS, pairLines(pairs))}

Nothing of an overlapped run was fitted. The rule of thumb (the slower of reads and the rest of the serial run) is shown for its error: reads can begin only when the router has spoken, after attention, and the last
expert is computed when there is nothing left to read.

## Routing

Recorded routings played through the simulator's cache:

${list(residency.map(residencyLine))}
${cliff.length === 0 ? "" : `\nBudgets below one token's demand:\n\n${list(cliff)}\n`}
Hit rates by budget and policy that the runs' authors replayed, against ours on the same traces (every row: [policies.csv](policies.csv)). Random draws differ by their seed. Theirs that divide the budget by layer have no counterpart here.

${markdown(["curve", "policy", "budgets", "equal to the last digit", "largest difference, points", "there"], policyLines(policies))}

Cells without a trace draw their experts from the reuse curves of the models' files, which were counted from these traces.

## What was fitted

To the calibration cells alone; facts of kind \`measured\`, \`derived\` and \`printed\` are not touched.

${fit.constants.length === 0 ? "Nothing: there are no calibration cells among these files, so the constants are those of `systems/expert-streaming.json`." : markdown(["constant", "what", "before", "fitted", "95 % interval"], fit.constants.map((c) => [c.id, c.what, c.before.toPrecision(4), c.value.toPrecision(4), `${c.from.toPrecision(3)} – ${c.to.toPrecision(3)}${c.atLimit ? ", at its limit" : ""}`]))}

\`system.json\` is the system with these constants; \`systems/expert-streaming.json\` ships them.
`;
};

const csv = (rows: ReadonlyArray<PolicyRow>): string =>
  [`# recorded: ${CITATION}`, "curve,budget_mib,policy,recorded_hit_percent,our_hit_percent", ...rows.map(({ path, budgetMib, policy, recorded, ours }) => `${path},${budgetMib},${policy},${recorded.toFixed(3)},${ours.toFixed(3)}`)].join("\n");

export const reportPhone = ({ document, png }: Tools) => (validation: PhoneValidation): ValidationReport => {
  const { results, fit } = validation;
  const sorted = worstFirst(results);
  const check = summaryOf(withRole(results, "check"));
  const dots = results.map(({ role, cell, predicted, measured }) => ({ model: `${cell.setting.model}${role === "contaminated" || role === "traced" ? ", contaminated or traced" : ""}`, predicted, measured, check: role === "check" }));
  const svg = drawValidation(document, dots).outerHTML;
  const json = {
    cells: sorted.map(({ cell, ...result }) => ({ ...result, because: cell.because, setting: cell.setting })),
    summary: { medianAbsError: check.medianAbsError, meanAbsError: check.meanAbsError, worstAbsError: check.worstAbsError, kendallTau: check.kendallTau },
    roles: Object.fromEntries(ROLES.map((role) => [role, summaryOf(withRole(results, role))])),
    streamed: { mean: summaryOf(streamedChecks(results)), middleToken: ofMiddle(streamedChecks(results)) },
    overlap: overlapPairs(results), residency: validation.residency, policies: validation.policies, reuse: validation.reuse,
    fit: { constants: fit.constants, evaluations: fit.evaluations, sumOfSquares: fit.sumOfSquares },
    seed: validation.seed, device: validation.device, source: CITATION,
  };
  const text = [
    ...padded([COLUMNS, ...sorted.map(rowOf)]), "",
    ...ROLES.flatMap((role) => (withRole(results, role).length === 0 ? [] : [summaryLine(role, summaryOf(withRole(results, role)))])),
    summaryLine("check, without the mapped file", summaryOf(streamedChecks(results))), summaryLine("the same, of the middle token", ofMiddle(streamedChecks(results))),
    "", "worst check cells:", ...worstFirst(withRole(results, "check")).slice(0, 5).map((result) => `  ${result.id}  ${percent(result.signedError)}  ${phoneReasonOf(result)}`),
    ...(validation.residency.length === 0 ? [] : ["", "recorded routings through the cache:", ...validation.residency.map((line) => `  ${residencyLine(line)}`)]),
    ...cliffLines(validation).map((line) => `  below the cliff: ${line}`),
    ...(validation.policies.length === 0 ? [] : ["", "hit rates by policy, largest difference in points:", ...policyLines(validation.policies).map(([path, policy, budgets, equal, off]) => `  ${path} ${policy}: ${off} (${equal} of ${budgets} equal)`)]),
    "", fit.constants.length === 0 ? "nothing was fitted: there are no calibration cells among these files" : "fitted to the calibration cells:", ...fit.constants.map((c) => `  ${c.id}  ${c.before.toPrecision(4)} -> ${c.value.toPrecision(4)}  (${c.what})`),
    "", `source: ${CITATION}`,
  ].join("\n");
  return {
    text, json,
    files: [
      { path: "README.md", text: page(validation) },
      { path: "cells.json", text: `${JSON.stringify(json, null, 1)}\n` },
      { path: "policies.csv", text: `${csv(validation.policies)}\n` },
      { path: "system.json", text: formatProfile(written("", fit.system)) },
      { path: "validation.svg", text: `${svg}\n` },
      ...(png === null ? [] : [{ path: "validation.png", bytes: png(svg) }]),
    ],
  };
};
