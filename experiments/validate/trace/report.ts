/** A recorded text against the simulator's picture of it, as a page, pictures and JSON. Every figure comes from the stored numbers. Pure. */
import { cachePanel, frequencyPanel, overlapPanel } from "../../plots/activations.js";
import { drawCurves } from "../../plots/curves.js";
import { markdown, padded, percent, plain, type Tools, type ValidationReport } from "../words.js";
import { points, speedsOf, worstByLayer, worstCells, worstLru, worstSpeed } from "./errors.js";
import { storedOf, type Stored, type Studied } from "./stored.js";

const at = (stored: Stored, share: number, of: ReadonlyArray<number>): number => {
  const next = stored.shares.findIndex((one) => one >= share);
  const [low, high] = [stored.shares[next - 1]!, stored.shares[next]!];
  return of[next - 1]! + ((share - low) / (high - low)) * (of[next]! - of[next - 1]!);
};


/** Misses that are predicted over those that come, less one: what a run that waits for its reads alone would be too slow by. */
const missError = (predicted: number, replayed: number): number => (1 - predicted) / (1 - replayed) - 1;

interface Verdict { readonly what: string; readonly key: "independence" | "evenExperts" | "sharedRates" | "givenBack" | "closedForm"; readonly about: string }

/** The assumptions in the order in which they are made, and what each leaves out. */
const ASSUMPTIONS: ReadonlyArray<Verdict> = [
  { key: "independence", what: "a neuron fires by itself, with its own rate", about: "what fired before, and what else fires" },
  { key: "evenExperts", what: "experts are alike, and one number says how often they repeat", about: "popular experts, and a layer's own repeat" },
  { key: "sharedRates", what: "layers have one share active, and curves spread evenly between the least and the greatest", about: "layers that fire seldom beside layers that fire often" },
  { key: "givenBack", what: "one overlap and one variation of tokens for all neurons", about: "gives back what the first step took" },
  { key: "closedForm", what: "an LRU forgets after a fixed time (Che)", about: "what is left between drawing and computing" },
];

const meanOf = (all: ReadonlyArray<number>): number => all.reduce((sum, one) => sum + one, 0) / Math.max(1, all.length);

const verdicts = (stored: Stored) =>
  ASSUMPTIONS.map(({ key, what, about }) => {
    const worst = stored.steps.reduce((found, step) => (Math.abs(step[key]) > Math.abs(found[key]) ? step : found));
    return { what, about, worst: worst[key], budget: worst.budget, mean: meanOf(stored.steps.map((step) => Math.abs(step[key]))) };
  }).sort((a, b) => Math.abs(b.worst) - Math.abs(a.worst));

const whole = (value: number): string => plain(value).replace(".0 %", " %");

const fittedTable = ({ models }: Stored): string => {
  const fact = ({ value, kind }: { readonly value: number; readonly kind: string }, show: (value: number) => string): string => `${show(value)} (${kind})`;
  const row = (what: string, of: (model: Stored["models"][number]) => string) => [what, ...models.map(of)];
  return markdown(["", ...models.map(({ title }) => title)], [
    row("layers, neurons of an expert, experts (used)", (m) => `${m.layers}, ${m.ffn}, ${m.experts} (${m.used})`),
    row("share active", (m) => fact(m.activeShare, plain)),
    row("token-to-token overlap", (m) => fact(m.tokenOverlap, (v) => v.toFixed(3))),
    row("a token varies by", (m) => fact(m.tokenVariation, plain)),
    row("an expert is used again", (m) => (m.experts === 1 ? "-" : fact(m.repeat, (v) => v.toFixed(3)))),
  ]);
};

const curveTable = (stored: Stored): string =>
  markdown(["the hottest … of the neurons carry", stored.model, stored.published.title, "its least layer", "its greatest layer"],
    [0.05, 0.1, 0.2, 0.3, 0.5].map((share) => [whole(share), ...[stored.curve, stored.published.mean, stored.published.low, stored.published.high].map((of) => plain(at(stored, share, of)))]));

const layerTable = ({ layers }: Stored): string =>
  markdown(["layer", "active", "model has", "curve: distance", "its own curve", "published curve", "no skew", "never fired", "overlap at 1", "at 16", "experts, as equal ones", "expert again", "by popularity alone"],
    layers.map((l) => [String(l.layer), plain(l.active), plain(l.modelActive), l.distance.toFixed(3), l.ownDistance.toFixed(3), l.publishedDistance.toFixed(3), l.evenDistance.toFixed(3), plain(l.never), (l.overlaps[0] ?? NaN).toFixed(3), (l.overlaps.at(-1) ?? NaN).toFixed(3), l.experts.effective.toFixed(1), l.experts.repeats[0]!.toFixed(3), l.experts.byPopularity.toFixed(3)]));

const likelihoodTable = ({ likelihood: { one, best, ...some } }: Stored): string => {
  const NAMES: Readonly<Record<keyof typeof some, string>> = { byLayer: "one rate a layer", model: "the simulator's: one share, a layer's place between the curves, ranks of the first half", modelByLayer: "the simulator's, layer by layer, ranks of the first half", own: "each neuron's own rate in the first half" };
  const row = (what: string, bits: number) => [what, bits.toFixed(0), plain((one - bits) / (one - best))];
  return markdown(["what is known", "bits a token", "explained"], [row("one rate for all neurons", one), ...(Object.keys(NAMES) as ReadonlyArray<keyof typeof some>).map((key) => row(NAMES[key], some[key])), row("each neuron's own rate in this half (hindsight)", best)]);
};

const cacheTable = (stored: Stored, unit: number): string =>
  markdown(["policy", "budget", "replayed", "independent", "drawn", "closed form", "its error, points", "misses", "drawn by layer", "closed form by layer", "its error, points", "misses"],
    worstCells(stored, unit).map((c) => [c.policy, whole(c.budget), plain(c.replayed), plain(c.independent), ...[[c.drawn, c.closedForm], [c.drawnByLayer, c.closedByLayer]].flatMap(([drawn, closed]) => [plain(drawn!), plain(closed!), points(closed! - c.replayed), percent(missError(closed!, c.replayed), 0)])]));

const stepTable = ({ steps }: Stored): string =>
  markdown(["budget", "replayed", ...ASSUMPTIONS.map(({ key }) => ({ independence: "independent", evenExperts: "even experts", sharedRates: "shared rates", givenBack: "overlap, variation", closedForm: "Che" })[key]), "closed form", "(order of tokens alone)"],
    steps.map((s) => [whole(s.budget), plain(s.replayed), ...ASSUMPTIONS.map(({ key }) => points(s[key])), plain(s.replayed + ASSUMPTIONS.reduce((sum, { key }) => sum + s[key], 0)), points(-s.order)]));

const speedTable = (rows: Stored["speeds"]): string => {
  const [first, ...others] = rows[0]!.runs.map(({ of }) => of);
  return markdown(["", `${first}, tokens/s`, ...others.map((of) => `${of}: speed`), `${first}: hit rate`, ...others.map((of) => `${of}: hit rate`)],
    rows.map(({ at: where, runs }) => [where, runs[0]!.tokensPerSec.toPrecision(4), ...runs.slice(1).map((run) => percent(run.tokensPerSec / runs[0]!.tokensPerSec - 1)), ...runs.map(({ hitRate }) => plain(hitRate))]));
};

const togetherTable = ({ layers }: Stored): string =>
  markdown(["layer", "dispersion", "greatest of the turned texts", "p", "mean correlation of two neurons", "as the simulator draws"],
    layers.map((l) => [String(l.layer), l.dispersion.toFixed(1), l.greatestTurned.toFixed(2), `${l.greatestTurned < l.dispersion ? "≤ " : ""}${l.probability.toFixed(2)}`, l.correlation.toFixed(3), l.drawnDispersion.toFixed(1)]));

const overlapTable = ({ overlaps }: Stored): string =>
  markdown(["tokens later", "recorded", "as the simulator draws", "independent", "recorded, in deviations of independence"],
    overlaps.map((o) => [String(o.distance), o.recorded.toFixed(4), o.drawn.toFixed(4), o.independent.toFixed(4), ((o.recorded - o.independent) / o.deviation).toFixed(0)]));

/** What of this carries over to a model a thousand times as large, and what does not; with what the published model's predictions hang on. */
const carriesOver = (stored: Stored): string => {
  const [worst] = verdicts(stored);
  const effect = worstSpeed(stored.published47b);
  return `**What carries over to a 47B is the form and not the numbers**: that few neurons carry much, that neurons of a token fire together (dispersion ${Math.min(...stored.layers.map(({ dispersion }) => dispersion)).toFixed(1)} to ${Math.max(...stored.layers.map(({ dispersion }) => dispersion)).toFixed(1)} where independence gives 1), that layers
and experts differ, and which of the simulator's assumptions this breaks; **what does not carry over** is the share active (a term of this model's training sets it), the depth
(${stored.layers.length} layers, whose first fire unlike its last), how evenly experts are used, and the overlap, which is of this vocabulary and these texts; the hottest 5 % carry ${plain(at(stored, 0.05, stored.curve))} here and ${plain(at(stored, 0.05, stored.published.mean))}
in ${stored.published.title}. The assumption that costs most here is that ${worst!.what}: nobody has published shares active or curves by layer and expert of a 47B, so its hit rates may be off by as much.

How much the prediction of ${stored.models.at(-1)!.title} hangs on what was estimated for want of a source: with this model's statistic in the place of its own, one at a time (${stored.device}, PowerInfer-2), its speed
changes by at most ${percent(effect.by)} (${effect.of}, ${effect.where}).

${speedTable(stored.published47b)}`;
};

const page = (stored: Stored, command: string): string => {
  const [worst] = worstCells(stored, 1);
  const [byMeans, byLayer] = [speedsOf(stored, false), speedsOf(stored, true)];
  const [real, own] = [worstSpeed(byMeans), worstSpeed(byLayer)];
  const anyOwn = worstByLayer(stored, null);
  const [{ means: lruMeans, byLayer: lruOwn }, ...groups] = worstLru(stored) as [ReturnType<typeof worstLru>[number], ...ReturnType<typeof worstLru>];
  return `# The simulator's picture of neurons, against a trained model

Written by \`${command}\`; do not edit. ${stored.tokens} tokens of a text that the model was not trained on, recorded neuron by neuron (docs/activation-trace.md). The simulator's statistics are
fitted to the first ${stored.half} tokens and caches are warmed by them; curves, likelihood and hit rates are asked of the others. Overlap, experts and company are counted over all of the text; the speeds at the
end are of its beginning, with the statistics of its second half. Drawn texts are of one seed (${stored.seed}), those of the overlap of five.

## What is off, worst first

- Of a neuron LRU and its kin the closed form is off by at most ${points(worst!.error)} points of hit rate (${worst!.policy}, ${whole(worst!.budget)} of the neurons): ${percent(missError(worst!.closedForm, worst!.replayed), 0)} misses.
${groups.map(({ unit, means, byLayer: told }) => `- Of ${unit} neurons kept together, as the engine keeps short rows, LRU's is off by at most ${points(means.error)} points (${whole(means.budget)}): ${percent(missError(means.closedForm, means.replayed), 0)} misses; told layer by layer by ${points(told.error)} (${whole(told.budget)}).\n`).join("")}${verdicts(stored).map(({ what, about, worst: by, budget, mean }) => `- *${what}*: ${points(by)} points at ${whole(budget)}, ${(100 * mean).toFixed(1)} in the mean (${about}).`).join("\n")}
- A whole run's predicted speed is off by at most ${percent(real.by)} (${real.of}, ${real.where}): ${stored.device}, below.

So the simulator takes a model's layers one by one where they are known (\`activations.layers\`, which \`record --spec\` writes: share active, curve, overlap, repeat and use of experts, layer by layer). **Told layer by layer**,
LRU's closed form of single neurons is off by at most ${points(lruOwn.error)} points (${whole(lruOwn.budget)}; ${points(lruMeans.error)} at ${whole(lruMeans.budget)} from the means), that of any policy by ${points(anyOwn.error)} (${anyOwn.policy}, ${whole(anyOwn.budget)}; ${points(anyOwn.closedForm - anyOwn.replayed)} there from the means, and ${points(worst!.error)} at worst: ${worst!.policy}, ${whole(worst!.budget)}; see "Hit rates"), and a run's speed by at most ${percent(own.by)} (${own.of}, ${own.where}; ${percent(real.by)} from the means).
Published models have no such table, so all that stands above is what their predictions may be off by.

## Statistics, beside the published ones

${fittedTable(stored)}

${curveTable(stored)}

Sources: ${stored.models.map(({ title, skewSource }) => `${title}: ${skewSource}`).join("; ")}.

${carriesOver(stored)}

![Frequencies, overlap and hit rates](figure.png)

## Goodness of fit

*Distance* is the largest gap between two curves of "the hottest x % carry y %" (Kolmogorov's): at the same time the largest error that a hit rate can have which is read off the curve, for a fixed choice of hot
neurons at any budget. Hot neurons are found in the first half and counted in the second.

${layerTable(stored)}

A curve can be right while its neurons are others, so the likelihood of the second half stands beside it: the bits that it takes to say which neurons of the experts in use fired, and the part of what hindsight saves
that is saved.

${likelihoodTable(stored)}

## Overlap

By how much a neuron that fired is likelier to fire again, some tokens later, beyond its own rate (tokens that both used its expert, mean over layers). The simulator fits the first row; the others are predictions.

${overlapTable(stored)}

## Do neurons fire together?

Dispersion: the variance of the number that fires in an expert over that of independent neurons of the same rates. Its null is made by turning each neuron's sequence by an offset of its own, which keeps rate and
memory: p is the share of such texts, the real one among them, that reach the real value.

${togetherTable(stored)}

## Hit rates, predicted and replayed

Caches of single neurons over all layers, as the engine's cold segment holds them (what a layer uses stays until its end). *Independent*: the recorded experts, each neuron by its own rate over all of the text. *Drawn*: the
simulator's text at fidelity neuron. *Closed form*: what fidelities cluster and analytic compute with; for policies other than window and static-hot they take LRU's. *Misses*: predicted over replayed, less one; a run that
waits for reads of missing neurons alone would be predicted too slow by as much. *By layer*: with every layer's own
numbers, of the first half of the text, in the place of their means. Worst first.

${cacheTable(stored, 1)}

A fixed choice over all layers takes the hottest wherever they are, which the closed form (the same share of each layer) does not: layer by layer that shows more.

Where short rows share pages, the engine keeps ${stored.cells.find(({ unit }) => unit > 1)?.unit ?? 1} neurons together:

${cacheTable(stored, stored.cells.find(({ unit }) => unit > 1)?.unit ?? 1)}

### Which assumption it is

Texts that differ in one assumption each, from the recorded one to the closed form; points of LRU's hit rate that each step adds. The last column stands beside the sum: what shuffling the tokens alone takes.

${stepTable(stored)}

## What it means for a speed

The same default plan on ${stored.device}, of neuronlab's own engine and of LLM in a flash, simulated with the recorded neurons of the text's beginning and, in their place, with what the fidelities make of the statistics of its second half. Where nothing is found in the cache, gate rows take all of it, and the row says nothing of caches. From means over layers:

${speedTable(byMeans)}

Layer by layer:

${speedTable(byLayer)}
`;
};

export const COMMAND = "neuronlab validate trace";

export const reportTrace = ({ document, png }: Tools) => (studied: Studied): ValidationReport => {
  const stored = storedOf(studied);
  const svg = drawCurves(document, `The neurons of ${stored.model}`, [frequencyPanel(stored), overlapPanel(stored), cachePanel(stored)]);
  const text = [
    ...padded([["assumption", "about", "worst, points", "at", "mean"], ...verdicts(stored).map(({ what, about, worst, budget, mean }) => [what, about, points(worst), whole(budget), (100 * mean).toFixed(1)])]),
    "", ...padded([["policy", "budget", "replayed", "closed form", "points"], ...worstCells(stored, 1).slice(0, 8).map((c) => [c.policy, whole(c.budget), plain(c.replayed), plain(c.closedForm), points(c.error)])]),
  ].join("\n");
  return {
    text, json: stored,
    files: [
      { path: "README.md", text: page(stored, COMMAND) },
      { path: "statistics.json", text: `${JSON.stringify(stored, null, 1)}\n` },
      { path: "figure.svg", text: svg },
      ...(png === null ? [] : [{ path: "figure.png", bytes: png(svg) }]),
    ],
  };
};
