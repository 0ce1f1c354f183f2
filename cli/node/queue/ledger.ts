/**
 * What has been handed to the queue and not come back. A run is settled once: the first word of it counts, and all later ones, from a worker that was
 * slow, an event told twice or an answer that was asked for again, find nothing to settle.
 */
interface Entry<W> {
  /** Several where a sweep has the same run in several places. */
  readonly wanted: Array<W>;
  /** In the queue, as far as is known; false while it is being put there. */
  added: boolean;
  /** Milliseconds of the clock when it was last known to be there. */
  seen: number;
}

export interface Ledger<W> {
  /** False where it is under way already. */
  readonly hand: (id: string, wanted: W, now: number) => boolean;
  readonly added: (id: string, now: number) => void;
  readonly saw: (id: string, now: number) => void;
  /** Takes it out; nothing where it was settled before, or never asked for. */
  readonly take: (id: string) => ReadonlyArray<W>;
  readonly wantedAt: (id: string) => W | null;
  /** Those that nobody has heard of for so long. */
  readonly quiet: (now: number, ms: number) => ReadonlyArray<string>;
  readonly ids: () => ReadonlyArray<string>;
  readonly size: () => number;
}

export const ledgerOf = <W>(): Ledger<W> => {
  const entries = new Map<string, Entry<W>>();
  return {
    hand: (id, wanted, now) => {
      const before = entries.get(id);
      if (before === undefined) entries.set(id, { wanted: [wanted], added: false, seen: now });
      else before.wanted.push(wanted);
      return before === undefined;
    },
    added: (id, now) => {
      const entry = entries.get(id);
      if (entry !== undefined) Object.assign(entry, { added: true, seen: now });
    },
    saw: (id, now) => {
      const entry = entries.get(id);
      if (entry !== undefined) entry.seen = now;
    },
    take: (id) => {
      const entry = entries.get(id);
      entries.delete(id);
      return entry?.wanted ?? [];
    },
    wantedAt: (id) => entries.get(id)?.wanted[0] ?? null,
    quiet: (now, ms) => [...entries].flatMap(([id, { added, seen }]) => (added && now - seen >= ms ? [id] : [])),
    ids: () => [...entries.keys()],
    size: () => entries.size,
  };
};
