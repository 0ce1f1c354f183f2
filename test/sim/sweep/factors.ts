/** The different ratios between two lists of numbers, to twelve digits. */
export const factorsOf = (before: ReadonlyArray<number>, after: ReadonlyArray<number>): ReadonlyArray<number> => [...new Set(after.map((value, i) => Number((value / before[i]!).toPrecision(12))))];
