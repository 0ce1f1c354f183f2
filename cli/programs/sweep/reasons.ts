/** Why a run is not done, in as much as a cell of a table holds; `neuronlab results show RUN` has all of it. */

/** Enough of a run's key to name it. */
export const shortKey = (run: string): string => run.slice(0, 8);

/** The first mistake of several, or a refusal without the list that follows it. */
export const shortReason = (reason: string): string => {
  const [head, first] = reason.split("\n") as [string, ...ReadonlyArray<string>];
  const [, where, count] = /^(.*): (\d+) mistakes?$/.exec(head) ?? [];
  if (where === undefined || first === undefined) return head.replace(/; [^;]*largest first:$/, "");
  return `${where}: ${first.trim()}${count === "1" ? "" : ` (and ${Number(count) - 1} more)`}`;
};

/** What became of a point whose run is not done, with the run that says so. */
export const stateShown = (state: string, reason: string | null, run: string | null): string =>
  `${state}${run === null ? "" : ` (${shortKey(run)})`}${reason === null ? "" : `: ${shortReason(reason)}`}`;

/** Where the rest of the reasons stands; nothing where all of them were told. */
export const moreOfReasons = (rows: ReadonlyArray<{ readonly reason: string | null; readonly run: string | null }>, store: string): ReadonlyArray<string> => {
  const cut = rows.find(({ reason, run }) => reason !== null && run !== null && shortReason(reason) !== reason);
  return cut === undefined ? [] : [`a reason in full: neuronlab results show ${shortKey(cut.run!)}${store}`];
};
