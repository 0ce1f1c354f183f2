/** What the simulator gets wrong of a recorded text, worst first, from the stored numbers. */
import type { Stored } from "./stored.js";

/** Of a hit rate, signed. */
export const points = (value: number): string => `${value > 0 ? "+" : ""}${(100 * value).toFixed(1)}`;

/** Where all is kept there is nothing to get wrong. */
const CHECKED = (cell: Stored["cells"][number]): boolean => cell.budget < 1;

/** Runs with the means over layers, and layer by layer; the recorded one is the first of either. */
const BY_LAYER = ", by layer";
export const speedsOf = ({ speeds }: Stored, byLayer: boolean): Stored["speeds"] =>
  speeds.map(({ at: where, runs: [recorded, ...runs] }) => ({ at: where, runs: [recorded!, ...runs.filter(({ of }) => of.endsWith(BY_LAYER) === byLayer).map((run) => ({ ...run, of: run.of.replace(BY_LAYER, "") }))] }));

/** The run whose speed is furthest from that of the first of its row. */
export const worstSpeed = (rows: Stored["speeds"]) =>
  rows.flatMap(({ at: where, runs }) => runs.slice(1).map(({ of, tokensPerSec }) => ({ where, of, by: tokensPerSec / runs[0]!.tokensPerSec - 1 }))).reduce((worst, one) => (Math.abs(one.by) > Math.abs(worst.by) ? one : worst));

/** The largest error of the closed form that knows every layer. */
export const worstByLayer = (stored: Stored, policy: string | null, unit = 1) =>
  stored.cells.filter((cell) => CHECKED(cell) && cell.unit === unit && (policy === null || cell.policy === policy)).map((cell) => ({ ...cell, error: cell.closedByLayer - cell.replayed })).reduce((worst, one) => (Math.abs(one.error) > Math.abs(worst.error) ? one : worst));

/** The errors of the closed form that knows means over layers, worst first. */
export const worstCells = (stored: Stored, unit: number) => stored.cells.filter((cell) => CHECKED(cell) && cell.unit === unit).map((cell) => ({ ...cell, error: cell.closedForm - cell.replayed })).sort((a, b) => Math.abs(b.error) - Math.abs(a.error));

/** How many neurons a cache keeps or drops together: single ones, then the groups of short rows, in rising order. */
export const unitsOf = ({ cells }: Stored): ReadonlyArray<number> => [...new Set(cells.map(({ unit }) => unit))].sort((a, b) => a - b);

/** LRU's worst errors, of single neurons and of each size of group. */
export const worstLru = (stored: Stored) => unitsOf(stored).map((unit) => ({ unit, means: worstCells(stored, unit).find(({ policy }) => policy === "lru")!, byLayer: worstByLayer(stored, "lru", unit) }));
