/** A validation to a table, a page, a picture and JSON, as values. Pure but for what is handed in. */
import type { ModelSpec } from "../../sim/domain/model.js";
import { drawValidation } from "../plots/validation.js";
import { COMPONENTS, reasonOf, summaryOf, type CellResult, type Drift, type Summary } from "./compare.js";
import type { Fitted } from "./fit.js";
import { median } from "../median-interval.js";
import { markdown, padded, percent, plain, written, type Tools, type ValidationReport } from "./words.js";

export type { ValidationReport };

export interface Validation {
  readonly seed: number;
  readonly quick: boolean;
  readonly tokens: number;
  readonly device: string;
  readonly models: ReadonlyArray<{ readonly name: string; readonly model: ModelSpec }>;
  readonly cells: ReadonlyArray<CellResult>;
  readonly drift: Drift & { readonly cell: string };
  /** Its system is the engine that is here now, with the constants. */
  readonly fit: Fitted;
  /** Whether the runs were made by another engine than the one that is here now. */
  readonly isOfAnotherEngine: boolean;
  /** The same cells with the constants of a file that was fitted on another machine; null where none was named. */
  readonly elsewhere: { readonly from: string; readonly cells: ReadonlyArray<CellResult> } | null;
}

const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 1);
const WORST = 5;

/** What was aimed at, beside what came out. */
const AIMS = [["median", 0.05], ["mean", 0.08]] as const;

export const settingOf = ({ cell }: Pick<CellResult, "cell">): string => `${Math.round(100 * cell.budget)} % held, ${cell.loading}, ${cell.overlap}, ${cell.cache}, ${cell.submitters === "io-thread" ? `${cell.reads} lanes` : `ring of ${cell.reads}`}, ${cell.threads} ${cell.threads === 1 ? "thread" : "threads"}, depth ${cell.depth}, clusters of ${cell.cluster}`;

const rowOf = (result: CellResult): ReadonlyArray<string> => [
  result.id, result.role, settingOf(result), result.predicted.toFixed(2), result.measured.toFixed(2), percent(result.signedError), percent(result.unfitted),
  ...COMPONENTS.map((name) => `${ms(result.parts[name].predicted)} / ${ms(result.parts[name].measured)}`), result.exact ? "yes" : "no", plain(result.spread),
];
const COLUMNS = ["cell", "role", "plan", "predicted", "measured", "error", "before the fit", "compute ms", "I/O ms", "stall ms", "exact", "spread"] as const;

const summaryLine = (what: string, s: Summary): string => `${what}: ${s.cells} cells, median ${plain(s.medianAbsError)}, mean ${plain(s.meanAbsError)}, worst ${plain(s.worstAbsError)}, Kendall's tau ${s.kendallTau.toFixed(3)}`;

const worstOf = (cells: ReadonlyArray<CellResult>): ReadonlyArray<CellResult> => [...cells].sort((a, b) => Math.abs(b.signedError) - Math.abs(a.signedError)).slice(0, WORST);

const driftLine = ({ cell, runs, slowest, fastest }: Validation["drift"]): string => `the machine: ${cell} was run ${runs} times between the others, at ${slowest.toFixed(2)} to ${fastest.toFixed(2)} tokens/s (${plain(fastest / slowest - 1)} apart)`;

const withRole = (cells: ReadonlyArray<CellResult>, role: CellResult["role"]): ReadonlyArray<CellResult> => cells.filter((cell) => cell.role === role);

/** A small model's token is ruled by costs that do not grow with it: its error is one of its own. */
const byModel = ({ models, cells }: Validation): ReadonlyArray<{ readonly model: string; readonly summary: Summary }> =>
  models.map(({ name }) => ({ model: name, summary: summaryOf(withRole(cells, "check").filter(({ cell }) => cell.model === name)) }));

/** Whose constants, how far off in all cells (none of which they were fitted to), and in the check cells alone for comparison with their own. */
const elsewhereLines = ({ elsewhere }: Validation): ReadonlyArray<string> =>
  elsewhere === null ? [] : [
    summaryLine(`with the constants of ${elsewhere.from}, fitted to none of these cells`, summaryOf(elsewhere.cells)),
    summaryLine("of them the check cells", summaryOf(withRole(elsewhere.cells, "check"))),
  ];

/** What the machine itself is sure of: half of its runs against the other half. */
const selfOf = (cells: ReadonlyArray<CellResult>): { readonly cells: number; readonly runs: number; readonly medianAbsError: number; readonly meanAbsError: number } | null => {
  const errors = cells.flatMap(({ selfError }) => (selfError === null ? [] : [Math.abs(selfError)]));
  return errors.length === 0 ? null : { cells: errors.length, runs: Math.max(...cells.map(({ runs }) => runs)), medianAbsError: median(errors), meanAbsError: errors.reduce((sum, error) => sum + error, 0) / errors.length };
};

const selfLines = (cells: ReadonlyArray<CellResult>): ReadonlyArray<string> => {
  const self = selfOf(cells);
  return self === null ? [] : [`the machine against itself: of ${self.runs} runs of a check cell every other one, taken for a prediction of the rest, is off by ${plain(self.medianAbsError)} at the median, ${plain(self.meanAbsError)} in the mean (who knew each plan's true speed would still be off by about half of that, ${plain(self.medianAbsError / 2)} and ${plain(self.meanAbsError / 2)})`];
};

/** Components in ms, predicted over measured less one, whatever the sign: what compensates in the whole shows here. */
const componentLine = (cells: ReadonlyArray<CellResult>): string =>
  `their components, median error: ${COMPONENTS.map((name) => `${name === "io" ? "I/O" : name} ${plain(median(cells.map(({ parts }) => Math.abs(parts[name].predicted / parts[name].measured - 1))))}`).join(", ")} (a whole in which they make up for one another can be right)`;

const page = (validation: Validation, check: Summary, calibration: Summary): string => {
  const { cells, fit } = validation;
  return `# The digital twin: predicted and measured on ${validation.device}

Written by \`neuronlab validate host${validation.quick ? " --quick" : ""} --seed ${validation.seed}\`. ${cells.length} plans over ${validation.models.length} models, ${validation.tokens} tokens each; the engine ran each
in a process of its own, in an order drawn by the seed, and the simulator predicted it from the device's profile at fidelity \`neuron\`, with the
recorded text. Constants were fitted to the ${calibration.cells} calibration cells only.
${validation.isOfAnotherEngine ? "\n**These runs are of an earlier engine**, predicted as what `engine` in `runs.json` says that it was.\n" : ""}
- ${summaryLine("check cells", check)} (aimed at: ${AIMS.map(([name, aim]) => `${name} ${plain(aim)}`).join(", ")}, tau 0.9)
- ${componentLine(withRole(cells, "check"))}
- ${summaryLine("calibration cells", calibration)}
- of each model's check cells: ${byModel(validation).map(({ model, summary }) => `${model} median ${plain(summary.medianAbsError)}, worst ${plain(summary.worstAbsError)}`).join("; ")}
- the same neurons missed and the same bytes read in ${cells.filter(({ exact }) => exact).length} of ${cells.length} cells
- ${driftLine(validation.drift)}
${selfLines(withRole(cells, "check")).map((line) => `- ${line}\n`).join("")}${elsewhereLines(validation).map((line) => `- ${line}\n`).join("")}
![Predicted over measured tokens/s](validation.png)

Dashed: 10 % off. Errors are predicted over measured speed, less one.

## The worst check cells, and why

${worstOf(withRole(cells, "check")).map((cell) => `- ${cell.id}: ${percent(cell.signedError)}; ${reasonOf(cell)} (${settingOf(cell)})`).join("\n")}

## What was fitted

${markdown(["constant", "what", "before", "fitted", "95 % interval"], fit.constants.map((c) => [c.id, c.what, c.before.toPrecision(3), c.value.toPrecision(3), `${c.from.toPrecision(3)} – ${c.to.toPrecision(3)}${c.atLimit ? ", at its limit" : ""}`]))}

${fit.isConverged ? `${fit.rounds} rounds; another made nothing better.` : `**Not converged**: ${fit.rounds} rounds, of which the last still made it better.`} \`system.json\` is the engine that is here now with these constants (as far as it has them), for \`simulate --system\`. An interval is of the cells and of the first estimate together: where the cells say nothing of a constant, it is the first estimate's.

How firmly they are held by what they were before is chosen by the calibration cells, each left out in turn and predicted from the others (whole and weighted parts together, in the mean, of the fit held by 0.1 as it is linear where that ended): ${fit.holds.map(({ hold, leftOut }) => `${hold}: ${plain(leftOut)}`).join(", ")}. A constant that is off by the factor within which it was guessed costs as much as a cell that is off by this share; the first is what was fitted with.

## All cells

Tokens/s; times of a token in ms, predicted / measured: the mean thread computing, the flash with a read under way, waiting while nothing computes.

${markdown(COLUMNS, cells.map(rowOf))}
`;
};

export const reportValidation = ({ document, png }: Tools) => (validation: Validation): ValidationReport => {
  const { cells } = validation;
  const [check, calibration] = [summaryOf(withRole(cells, "check")), summaryOf(withRole(cells, "calibration"))];
  const svg = drawValidation(document, cells.map(({ cell, role, predicted, measured }) => ({ model: cell.model, predicted, measured, check: role === "check" }))).outerHTML;
  const json = {
    cells: cells.map(({ cell, ...result }) => ({ ...result, plan: cell })),
    summary: { medianAbsError: check.medianAbsError, meanAbsError: check.meanAbsError, worstAbsError: check.worstAbsError, kendallTau: check.kendallTau },
    calibration,
    byModel: byModel(validation),
    exactCells: cells.filter(({ exact }) => exact).length,
    drift: validation.drift,
    isOfAnotherEngine: validation.isOfAnotherEngine,
    self: selfOf(withRole(cells, "check")),
    ...(validation.elsewhere === null ? {} : { elsewhere: { from: validation.elsewhere.from, summary: summaryOf(validation.elsewhere.cells), check: summaryOf(withRole(validation.elsewhere.cells, "check")), cells: validation.elsewhere.cells.map(({ id, predicted, signedError }) => ({ id, predicted, signedError })) } }),
    fit: { constants: validation.fit.constants, evaluations: validation.fit.evaluations, rounds: validation.fit.rounds, isConverged: validation.fit.isConverged, sumOfSquares: validation.fit.sumOfSquares, holds: validation.fit.holds },
    seed: validation.seed, quick: validation.quick, tokens: validation.tokens, device: validation.device,
  };
  const text = [
    ...padded([COLUMNS, ...cells.map(rowOf)]),
    "", summaryLine("check", check), componentLine(withRole(cells, "check")), summaryLine("calibration", calibration), ...byModel(validation).map(({ model, summary }) => summaryLine(`check, ${model}`, summary)), `the same misses and bytes in ${json.exactCells} of ${cells.length} cells`, driftLine(validation.drift), ...selfLines(withRole(cells, "check")), ...elsewhereLines(validation),
    "", "worst check cells:", ...worstOf(withRole(cells, "check")).map((cell) => `  ${cell.id}  ${percent(cell.signedError)}  ${reasonOf(cell)}`),
    "", "fitted to the calibration cells:", ...validation.fit.constants.map((c) => `  ${c.id}  ${c.before.toPrecision(3)} -> ${c.value.toPrecision(3)}  (${c.what})`),
  ].join("\n");
  return {
    text, json,
    files: [
      { path: "README.md", text: page(validation, check, calibration) },
      { path: "cells.json", text: `${JSON.stringify(json, null, 1)}\n` },
      { path: "system.json", text: `${JSON.stringify(written("", validation.fit.system), null, 2)}\n` },
      { path: "validation.svg", text: `${svg}\n` },
      ...(png === null ? [] : [{ path: "validation.png", bytes: png(svg) }]),
    ],
  };
};
