/** Levenshtein distance with a single rolling row. */
export const editDistance = (a: string, b: string): number => {
  const row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    let diagonal = row[0]!;
    row[0] = i;
    for (let j = 1; j <= b.length; j++) {
      const above = row[j]!;
      const substitution = diagonal + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(above + 1, row[j - 1]! + 1, substitution);
      diagonal = above;
    }
  }
  return row[b.length]!;
};

const lettersAndDigits = (name: string): string => name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, "");

/** The known name closest to what was typed, or null when nothing is close enough to be a plausible slip. */
export const nearest = (typed: string, known: ReadonlyArray<string>): string | null => {
  const bare = lettersAndDigits(typed);
  const same = bare === "" ? undefined : known.find((name) => lettersAndDigits(name) === bare);
  if (same !== undefined) return same;
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const name of known) {
    const distance = editDistance(typed.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best !== null && bestDistance <= Math.max(2, Math.ceil(best.length * 0.4)) ? best : null;
};
