/** How the values of a sweep's axis lie along a picture: numbers to scale, with their unit in the label; words, and sizes in different units, as steps. */

export type AxisValue = number | string;

export interface PlacedAxis {
  readonly label: string;
  readonly scale: "linear" | "point";
  readonly place: (value: AxisValue) => number | string;
  readonly domain: ReadonlyArray<number | string>;
  /** Where labels stand, and what they say; none where there are too many values. */
  readonly ticks: ReadonlyArray<{ readonly at: number | string; readonly text: string }>;
  /** What a tick of the picture's own says. */
  readonly show: (at: number) => string;
}

export const shortNumber = (value: number): string => (Math.abs(value) >= 1e6 ? `${Number((value / 1e6).toPrecision(4))}M` : value.toLocaleString("en-US", { maximumSignificantDigits: 4 }));

const amountOf = (value: AxisValue): { readonly amount: number; readonly unit: string } | null => {
  if (typeof value === "number") return { amount: value, unit: "" };
  const match = /^([+-]?[\d.]+(?:e[+-]?\d+)?)\s*([A-Za-z%/]*)$/i.exec(value);
  return match === null || Number.isNaN(Number(match[1])) ? null : { amount: Number(match[1]), unit: match[2]! };
};

/** Doubling steps, or nearly: they would crowd at one end of a plain scale, and stand at even distances by their logarithms. */
const isGeometric = (amounts: ReadonlyArray<number>): boolean => {
  if (amounts.length < 3 || amounts.some((a) => a <= 0)) return false;
  const ratios = amounts.slice(1).map((a, i) => a / amounts[i]!);
  return Math.min(...ratios) > 1.3 && Math.max(...ratios) / Math.min(...ratios) < 1.9 && amounts.at(-1)! / amounts[0]! >= 8;
};

/** Beyond so many values they are samples, and get ticks of the picture's own. */
const MOST_TICKS = 14;

export const placedAxis = (name: string, values: ReadonlyArray<AxisValue>): PlacedAxis => {
  const distinct = [...new Set(values)];
  const measures = distinct.map(amountOf);
  const units = new Set(measures.map((m) => m?.unit));
  if (measures.some((m) => m === null) || units.size > 1) return { label: name, scale: "point", place: String, domain: distinct.map(String), ticks: distinct.map((value) => ({ at: String(value), text: String(value) })), show: String };
  const amounts = measures.map((m) => m!.amount).sort((a, b) => a - b);
  const unit = measures[0]!.unit;
  const isLog = isGeometric(amounts);
  const along = (amount: number): number => (isLog ? Math.log2(amount) : amount);
  return {
    label: unit === "" ? name : `${name}, ${unit}`,
    scale: "linear",
    place: (value) => along(amountOf(value)!.amount),
    domain: [along(amounts[0]!), along(amounts.at(-1)!)],
    ticks: amounts.length <= MOST_TICKS ? amounts.map((amount) => ({ at: along(amount), text: shortNumber(amount) })) : [],
    show: (at) => shortNumber(isLog ? 2 ** at : at),
  };
};
