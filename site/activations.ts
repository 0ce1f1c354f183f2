/** The stored statistics of a trained model to pictures and a table, by the functions that draw them for the command line. */
import { cachePanel, frequencyPanel, overlapPanel, type ActivationPicture } from "../experiments/plots/activations.js";
import { drawCurves } from "../experiments/plots/curves.js";
import { make } from "./dom.js";
import { figureOf } from "./figure-frame.js";
import { framed, gap, svgOf, unread } from "./figures.js";
import { originOf, stored, type Stored } from "./stored.js";

const PATH = "model/statistics.json";
const COMMAND = "neuronlab validate trace --out results/model";

const PANELS = {
  frequencies: { panel: frequencyPanel, caption: "How much of a layer's activations its hottest neurons carry: this model layer by layer, and the published curve." },
  overlap: { panel: overlapPanel, caption: "By how much a neuron that fired is likelier to fire again than its own rate says." },
  caches: { panel: cachePanel, caption: "Hit rates of a cache of neurons by what it holds: replayed, and as the simulator has them." },
} as const;

interface Document extends ActivationPicture {
  readonly steps: ReadonlyArray<{ readonly budget: number; readonly replayed: number; readonly independence: number; readonly evenExperts: number; readonly sharedRates: number; readonly givenBack: number; readonly closedForm: number }>;
}

const shown = async (draw: (document: Document, file: Stored) => HTMLElement): Promise<HTMLElement> => {
  const file = await stored(PATH);
  if (file === null) return gap("No statistics of a trained model are kept here.", COMMAND);
  try {
    return draw(JSON.parse(file.text) as Document, file);
  } catch (error) {
    return unread(file, error);
  }
};

export const activationFigure = (which: keyof typeof PANELS): Promise<HTMLElement> =>
  shown((found, file) => {
    const { panel, caption } = PANELS[which];
    return framed(svgOf(drawCurves(document, caption, [panel(found)])), caption, file);
  });

const COLUMNS = [["independence", "each neuron by itself"], ["evenExperts", "experts alike"], ["sharedRates", "layers alike"], ["givenBack", "one overlap for all"], ["closedForm", "Che's approximation"]] as const;

/** Which assumption takes how much of LRU's hit rate. */
export const assumptions = (): Promise<HTMLElement> =>
  shown(({ steps }, file) => {
    const number = (text: string): HTMLElement => make("td", { class: "number" }, text);
    const points = (value: number): string => `${value > 0 ? "+" : ""}${(100 * value).toFixed(1)}`;
    const head = ["neurons held", "replayed", ...COLUMNS.map(([, name]) => name)].map((text) => make("th", { class: "number" }, text));
    const rows = steps.map((step) => make("tr", {}, number(`${Math.round(100 * step.budget)}%`), number(`${(100 * step.replayed).toFixed(1)}%`), ...COLUMNS.map(([key]) => number(points(step[key])))));
    return figureOf(
      { title: "What each assumption adds", subtitle: "Points of hit rate, one assumption of the simulator after the other, from the recorded text to the closed form.", picture: make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)), label: "Points of hit rate that each assumption adds" },
      make("figcaption", {}, make("code", {}, originOf(file))),
    );
  });
