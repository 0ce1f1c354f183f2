/** What was trained here, from the files that experiments/train/report.py wrote. */
import { intervalOf } from "../../sim/sweep/interval.js";
import { percent, type Documents, type Row } from "./row.js";

interface Scored { readonly perplexity: number; readonly windowLosses: ReadonlyArray<number>; readonly activeShare: number }
export interface Branch { readonly run: string; readonly strength: number; readonly branchedAt: number; readonly step: number; readonly measured: string; readonly options: { readonly seed: number; readonly hold: number; readonly decay: number; readonly products: string }; readonly evaluation: Scored }
interface Parity { readonly tokens: number; readonly prompts: ReadonlyArray<{ readonly same: number }> }
interface Measured extends Branch { readonly parity: Readonly<Record<string, Parity>> }
interface Cost { readonly cost: number; readonly error: number }
export interface Shipped extends Measured {
  readonly predictors: { readonly chosen: number; readonly rows: ReadonlyArray<{ readonly asked: number; readonly recall: number; readonly predicted: number }>; readonly onTheOtherWindows: Cost };
  readonly formats: Readonly<Record<string, { readonly perplexity: number; readonly difference: number; readonly llamaCpp: { readonly perplexity: number } }>>;
  readonly halfMemory: { readonly tokens: number; readonly ffnBytes: number; readonly held: number; readonly bytesReadPerToken: number; readonly same: boolean; readonly labels: ReadonlyArray<string> };
}

/** As experiments/train/half_memory.py judges: the same text, of weights as they are, with no more than half, and something read. */
const isShown = ({ same, labels, held, ffnBytes, bytesReadPerToken }: Shipped["halfMemory"]): boolean => same && labels.join() === "lossless" && 2 * held <= ffnBytes && bytesReadPerToken > 0;

/** A run with the sparsity term and its twin without. */
const SHAPES = ["mixture", "dense", "drelu"] as const;
const fileOf = (run: string): string => `results/training/${run}.json`;
const PAIRS = SHAPES.map((shape) => [fileOf(`${shape}-sparse`), fileOf(`${shape}-plain`)] as const);
/** The shipped shape's twins of further seeds. */
const OF_OTHER_SEEDS = [2, 3].map((seed) => [fileOf(`mixture-sparse-seed${seed}`), fileOf(`mixture-plain-seed${seed}`)] as const);
export const TRAINED: ReadonlyArray<string> = [...PAIRS, ...OF_OTHER_SEEDS].flat();
export const SHIPPED = fileOf("mixture-sparse");
/** What llama.cpp runs besides. */
const DENSE = fileOf("dense-sparse");

const signed = (share: number, digits: number): string => `${share < 0 ? "" : "+"}${(100 * share).toFixed(digits)}`;
/** With the interval that holds the truth in 19 of 20 cases. */
const said = ({ cost, error }: Cost): string => `${signed(cost, 2)} % (${signed(cost - 1.96 * error, 2)} to ${signed(cost + 1.96 * error, 2)})`;
const linked = (claim: string, document: string): string => `${claim} ([${document}](../${document}))`;
const below = (aim: number, cost: Cost): Pick<Row, "tolerance" | "found" | "holds"> => ({ tolerance: `at most ${percent(aim, 0)}`, found: said(cost), holds: cost.cost <= aim });

/** By how much one perplexity is above another of the same windows; the error is over windows (experiments/train/paired.py). */
export const costOf = (losses: ReadonlyArray<number>, others: ReadonlyArray<number>): Cost => {
  const differences = losses.map((loss, window) => loss - others[window]!);
  const mean = differences.reduce((sum, one) => sum + one, 0) / differences.length;
  const variance = differences.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (differences.length - 1);
  const ratio = Math.exp(mean);
  return { cost: ratio - 1, error: ratio * Math.sqrt(variance / differences.length) };
};

/** In all formats together. */
const greedyRow = (shared: Pick<Row, "group" | "takes" | "measured">, page: string, parity: Readonly<Record<string, Parity>>): Row => {
  const prompts = Object.values(parity).flatMap(({ prompts: rows, tokens }) => rows.map(({ same }) => same === tokens));
  return { ...shared, claim: linked(`Greedy continuations of 48 tokens that are llama.cpp's, F32, Q8_0 and Q4_0 together (keys and values in F32)`, page), command: "experiments/train/measure.sh", tolerance: "all", found: `${prompts.filter(Boolean).length} of ${prompts.length}`, holds: prompts.every(Boolean) };
};

const shippedRows = ({ measured, predictors, formats, parity, halfMemory }: Shipped): ReadonlyArray<Row> => {
  const page = "models/novels/README.md";
  const shared = { group: "The model that comes along (novels-mixture)", takes: "minutes", tolerance: "", holds: null, measured };
  const chosen = predictors.rows.find(({ asked }) => asked === predictors.chosen)!;
  return [
    ...Object.entries(formats).map(([format, { perplexity, difference, llamaCpp }]) => ({
      ...shared, claim: linked(`Perplexity in ${format.toUpperCase()} is llama.cpp's (${perplexity.toFixed(4)} beside ${llamaCpp.perplexity.toFixed(4)}): difference`, page), command: "neuronlab perplexity --ffn dense --model FILE --text FILE --vs llama.cpp", found: `${signed(difference, 3)} %`,
    })),
    greedyRow(shared, page, parity),
    { ...shared, claim: linked(`${halfMemory.tokens} drawn tokens with ${(halfMemory.held / 1e6).toFixed(2)} of ${(halfMemory.ffnBytes / 1e6).toFixed(2)} MB of FFNs in memory are those with all of them, ${halfMemory.labels.join(", ")}`, page), command: "experiments/train/measure.sh", tolerance: "all", found: isShown(halfMemory) ? "the same" : "not shown", holds: isShown(halfMemory) },
    { ...shared, claim: linked(`Perplexity that computing predicted neurons alone costs, at recall ${percent(chosen.recall, 0)}, ${percent(chosen.predicted)} of the neurons computed (windows that had no say in the choice)`, page), command: "neuronlab perplexity --model FILE --text FILE --predictor FILE", ...below(0.01, predictors.onTheOtherWindows) },
  ];
};

const commandOf = ({ run, branchedAt, options }: Branch): string => `STEPS=${branchedAt} HOLD=${options.hold} DECAY=${options.decay} PRODUCTS=${options.products} SHAPES=${run.split("-")[0]!} experiments/train/recipe.sh WORK`;

const sparsityRow = (sparse: Branch, plain: Branch): Row => ({
  group: "What sparsity costs",
  claim: linked(`${sparse.run}: perplexity of a twin without the term, ${plain.evaluation.perplexity.toFixed(2)}, to ${sparse.evaluation.perplexity.toFixed(2)} with it, at ${(100 * sparse.evaluation.activeShare).toFixed(1)} instead of ${percent(plain.evaluation.activeShare)} active`, "results/training/README.md"),
  command: commandOf(sparse),
  takes: "hours",
  ...below(0.01, costOf(sparse.evaluation.windowLosses, plain.evaluation.windowLosses)),
  measured: sparse.measured,
});

const costOfTwins = (documents: Documents, [sparse, plain]: readonly [string, string]): number => costOf((documents[sparse] as Branch).evaluation.windowLosses, (documents[plain] as Branch).evaluation.windowLosses).cost;

/** What the term costs the shipped shape in the mean over seeds, which vary the order of the branches' text; by Student's t. */
const seedsRow = (documents: Documents): Row => {
  const first = documents[SHIPPED] as Branch;
  const costs = [PAIRS[0]!, ...OF_OTHER_SEEDS].map((pair) => costOfTwins(documents, pair));
  const { n, mean, halfWidth } = intervalOf(costs);
  return {
    ...sparsityRow(first, documents[PAIRS[0]![1]] as Branch),
    claim: linked(`${first.run}: the term's cost in the mean over ${n} seeds (${costs.map((cost) => `${signed(cost, 2)} %`).join(", ")})`, "results/training/README.md"),
    command: `SEEDS='2 3' ${commandOf(first)}`,
    found: `${signed(mean, 2)} % (${signed(mean - halfWidth!, 2)} to ${signed(mean + halfWidth!, 2)})`,
    holds: mean <= 0.01,
    measured: (documents[OF_OTHER_SEEDS.at(-1)![0]] as Branch).measured,
  };
};

export const trainedRows = (documents: Documents): ReadonlyArray<Row> => [
  ...shippedRows(documents[SHIPPED] as Shipped),
  greedyRow({ group: "Its dense form, trained here too", takes: "minutes", measured: (documents[DENSE] as Measured).measured }, "results/training/README.md", (documents[DENSE] as Measured).parity),
  ...PAIRS.map(([sparse, plain]) => sparsityRow(documents[sparse] as Branch, documents[plain] as Branch)),
  seedsRow(documents),
];
