/** Stored results to figures, by the functions that draw them for the command line; and sentences where there are none. */
import { experiments } from "../experiments/index.js";
import { drawFigure } from "../experiments/plots/figure.js";
import { drawValidation, type ValidationDot } from "../experiments/plots/validation.js";
import type { ClaimResult, Experiment, Result, ResultPoint } from "../experiments/experiment.js";
import { make } from "./dom.js";
import { figureOf, headed } from "./figure-frame.js";
import { addressOf, listed, originOf, stored, type Stored } from "./stored.js";

/** Nothing to show, and what would make it. */
export const gap = (what: string, command: string): HTMLElement => make("p", { class: "gap" }, `${what} `, make("code", {}, command), " makes it.");

export const unread = ({ path }: Stored, error: unknown): HTMLElement => make("p", { class: "refusal" }, `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);

const elementOf = (text: string): Element => new DOMParser().parseFromString(text, "image/svg+xml").documentElement;

/** Drawn by our own functions from numbers and names; put in as the tree that it is. */
export const svgOf = (text: string): Element => document.importNode(elementOf(text), true);

export const framed = (picture: Element, caption: string, from: Parameters<typeof originOf>[0], ...more: ReadonlyArray<Node>): HTMLElement =>
  figureOf({ ...headed(picture), label: caption }, make("figcaption", {}, caption, " ", make("code", {}, originOf(from))), ...more);

/** A file may hold anything when it is a user's own: it is shown as a picture, in which no script runs, and not put into the page. Its heading is read. */
export const framedFile = async (found: Parameters<typeof originOf>[0], caption: string): Promise<HTMLElement> => {
  const file = await stored(found.path);
  const shown = headed(elementOf(file?.text ?? ""));
  const src = shown.title === "" ? addressOf(found.path) : `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(shown.picture))}`;
  return figureOf({ ...shown, picture: make("img", { src, alt: caption }), label: caption }, make("figcaption", {}, caption, " ", make("code", {}, originOf(found))));
};

interface Points { readonly points: ReadonlyArray<ResultPoint>; readonly curves: ReadonlyArray<{ readonly panel: string; readonly series: string; readonly x: number | string; readonly unit: string; readonly simulated: number | null }>; readonly claims: ReadonlyArray<ClaimResult> }

const resultOf = (experiment: Experiment, { points, curves, claims }: Points): Result => ({ experiment, points, claims, curves: curves.flatMap(({ simulated, ...curve }) => (simulated === null ? [] : [{ ...curve, value: simulated }])) });

const verdicts = (claims: ReadonlyArray<ClaimResult>): HTMLElement =>
  make("details", {}, make("summary", {}, `${claims.filter(({ holds }) => holds).length} of ${claims.length} claims of the paper hold here`), make("ul", {}, ...claims.map(({ holds, text, found }) => make("li", {}, make("strong", {}, holds ? "holds" : "does not hold"), `: ${text} (${found})`))));

/** A figure or table of the paper, simulated values beside the reported ones. */
export const paperFigure = async (id: string): Promise<HTMLElement> => {
  const experiment = experiments.find((one) => one.id === id);
  const file = await stored(`paper/${id}/points.json`);
  if (experiment === undefined || file === null) return gap(`There is no result of ${id} here.`, `neuronlab reproduce ${id} --out results/paper`);
  try {
    const result = resultOf(experiment, JSON.parse(file.text) as Points);
    return framed(svgOf(drawFigure(document, result)), experiment.question, file, ...(result.claims.length === 0 ? [] : [verdicts(result.claims)]));
  } catch (error) {
    return unread(file, error);
  }
};

/** The picture of a sweep. */
export const sweepFigure = async (id: string, caption: string): Promise<HTMLElement> => {
  const path = `sweeps/${id}/figure.svg`;
  const found = (await listed()).find((file) => file.path === path);
  if (found === undefined) return gap(`There is no result of the sweep ${id} here.`, `neuronlab sweep experiments/sweeps/${id}/sweep.ts --out results/sweeps/${id}`);
  return framedFile(found, caption);
};

interface Cells { readonly cells: ReadonlyArray<{ readonly id: string; readonly role: string; readonly predicted: number; readonly measured: number; readonly signedError: number; readonly setting?: { readonly model: string }; readonly plan?: { readonly model: string } }>; readonly summary: { readonly medianAbsError: number; readonly worstAbsError: number } }

const percent = (share: number): string => `${(100 * share).toFixed(0)}%`;

/** Predicted beside measured. The marks are those of the command line: contaminated and traced runs are a kind of their own. */
const validation = (file: Stored, caption: string): HTMLElement => {
  try {
    const { cells, summary } = JSON.parse(file.text) as Cells;
    const dots = cells.map(({ role, predicted, measured, setting, plan }): ValidationDot => ({ model: `${setting?.model ?? plan?.model ?? "?"}${role === "contaminated" || role === "traced" ? ", contaminated or traced" : ""}`, predicted, measured, check: role === "check" }));
    const rows = [...cells].sort((a, b) => Math.abs(b.signedError) - Math.abs(a.signedError)).map(({ id, role, measured, predicted, signedError }) =>
      make("tr", {}, make("td", {}, id), make("td", {}, role), ...[measured.toPrecision(3), predicted.toPrecision(3), `${signedError > 0 ? "+" : ""}${percent(signedError)}`].map((text) => make("td", { class: "number" }, text))));
    const table = make("table", {}, make("thead", {}, make("tr", {}, make("th", {}, "cell"), make("th", {}, "role"), ...["measured, tokens/s", "predicted", "error"].map((text) => make("th", { class: "number" }, text)))), make("tbody", {}, ...rows));
    return framed(drawValidation(document, dots), `${caption} Check cells: median error ${percent(summary.medianAbsError)}, worst ${percent(summary.worstAbsError)}.`, file, make("details", {}, make("summary", {}, `all ${cells.length} cells, the worst first`), table));
  } catch (error) {
    return unread(file, error);
  }
};

export const hostValidation = async (): Promise<HTMLElement> => {
  const file = await stored("host/validate/cells.json");
  return file === null ? gap("No runs of a machine of its own are kept here, so prediction and measurement cannot be put side by side.", "neuronlab probe, then neuronlab validate host") : validation(file, "Runs of the engine on this machine, each as it was predicted and as it was measured.");
};

export const phoneValidation = async (): Promise<HTMLElement> => {
  const file = await stored("phone/cells.json");
  return file === null ? gap("No recorded phone runs are kept here.", "neuronlab validate phone FOLDER") : validation(file, "Runs that others recorded on a OnePlus 15R.");
};
