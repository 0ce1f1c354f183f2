/** The slow, obvious twins of the eviction policies: one plain list of what is resident, searched from end to end. */
import type { EvictionSetting, EvictionState } from "../../../sim/policies/eviction/index.js";

type Twin = (setting: EvictionSetting) => EvictionState;

/** A list, oldest first, and what to do on each request. */
const listed = (request: (resident: Array<number>, thing: number, drop: (thing: number) => void) => boolean, onEvict: (thing: number) => void, endToken: (resident: ReadonlyArray<number>, drop: (thing: number) => void) => void = () => {}): EvictionState => {
  const resident: Array<number> = [];
  const drop = (thing: number): void => {
    resident.splice(resident.indexOf(thing), 1);
    onEvict(thing);
  };
  return { request: (thing) => request(resident, thing, drop), endToken: () => endToken([...resident], drop), isResident: (thing) => resident.includes(thing), size: () => resident.length };
};

const useInOrder = (slots: number) => (resident: Array<number>, thing: number, drop: (thing: number) => void): boolean => {
  const hit = resident.includes(thing);
  if (hit) resident.splice(resident.indexOf(thing), 1);
  else if (slots === 0) return false;
  else if (resident.length === slots) drop(resident[0]);
  resident.push(thing);
  return hit;
};

const lruSlow: Twin = ({ slots, onEvict }) => listed(useInOrder(slots), onEvict);

const windowSlow: Twin = ({ slots, windowTokens, onEvict }) => {
  const tokens: Array<Set<number>> = [new Set()];
  const use = useInOrder(slots);
  return listed(
    (resident, thing, drop) => {
      tokens.at(-1)!.add(thing);
      return use(resident, thing, drop);
    },
    onEvict,
    (resident, drop) => {
      for (const thing of resident) if (!tokens.slice(-windowTokens).some((token) => token.has(thing))) drop(thing);
      tokens.push(new Set());
    },
  );
};

const staticHotSlow: Twin = ({ slots, things, heat, onEvict }) => {
  const hotter = (thing: number): number => Array.from({ length: things }, (_, other) => other).filter((other) => heat[other] > heat[thing] || (heat[other] === heat[thing] && other < thing)).length;
  return listed((resident, thing) => {
    if (resident.includes(thing)) return true;
    if (hotter(thing) < slots) resident.push(thing);
    return false;
  }, onEvict);
};

/** The ring is the list, the hand always at its front: sparing moves the front to the back. */
const clockSlow: Twin = ({ slots, onEvict }) => {
  const used = new Set<number>();
  return listed((resident, thing, drop) => {
    if (resident.includes(thing)) {
      used.add(thing);
      return true;
    }
    if (slots === 0) return false;
    if (resident.length === slots) {
      while (used.delete(resident[0])) resident.push(resident.shift()!);
      drop(resident[0]);
    }
    resident.push(thing);
    return false;
  }, onEvict);
};

const beladySlow: Twin = ({ slots, future, onEvict }) => {
  let now = 0;
  const nextUse = (thing: number): number => {
    for (let i = now; i < future.length; i++) if (future[i] === thing) return i;
    return Infinity;
  };
  return listed((resident, thing, drop) => {
    now++;
    if (resident.includes(thing)) return true;
    if (slots === 0) return false;
    if (resident.length === slots) {
      const last = [...resident, thing].sort((a, b) => (nextUse(a) === nextUse(b) ? a - b : nextUse(b) - nextUse(a)))[0];
      if (last === thing) return false;
      drop(last);
    }
    resident.push(thing);
    return false;
  }, onEvict);
};

/** In order of last use, so that the first of the least used is the one used longest ago. */
const lfuSlow: Twin = ({ slots, onEvict }) => {
  const uses = new Map<number, number>();
  const lru = useInOrder(Infinity);
  return listed((resident, thing, drop) => {
    if (resident.includes(thing)) {
      uses.set(thing, uses.get(thing)! + 1);
      return lru(resident, thing, drop);
    }
    if (slots === 0) return false;
    if (resident.length === slots) {
      const least = Math.min(...resident.map((other) => uses.get(other)!));
      drop(resident.find((other) => uses.get(other) === least)!);
    }
    uses.set(thing, 1);
    return lru(resident, thing, drop);
  }, onEvict);
};

/** The paper's evictS and evictM on three lists, the oldest first; one leaves, from whichever queue. */
const s3FifoSlow: Twin = ({ slots, onEvict }) => {
  const share = Math.max(1, Math.floor(slots / 10));
  const small: Array<number> = [];
  const main: Array<number> = [];
  const ghosts: Array<number> = [];
  const uses = new Map<number, number>();
  const take = (list: Array<number>, thing: number): boolean => list.includes(thing) && list.splice(list.indexOf(thing), 1).length > 0;
  const evictMain = (): number => {
    for (let thing = main.shift()!; ; thing = main.shift()!) {
      if (uses.get(thing) === 0) return thing;
      uses.set(thing, uses.get(thing)! - 1);
      main.push(thing);
    }
  };
  const evictSmall = (): number => {
    for (let thing = small.shift(); thing !== undefined; thing = small.shift()) {
      if (uses.get(thing)! <= 1) {
        ghosts.push(thing);
        if (ghosts.length > slots - share) ghosts.shift();
        return thing;
      }
      uses.set(thing, 0);
      main.push(thing);
      if (main.length > slots - share) return evictMain();
    }
    return evictMain();
  };
  const isResident = (thing: number): boolean => small.includes(thing) || main.includes(thing);
  return {
    request: (thing) => {
      if (isResident(thing)) {
        uses.set(thing, Math.min(3, uses.get(thing)! + 1));
        return true;
      }
      if (slots === 0) return false;
      const queue = take(ghosts, thing) ? main : small;
      if (small.length + main.length === slots) onEvict(small.length >= share ? evictSmall() : evictMain());
      uses.set(thing, 0);
      queue.push(thing);
      return false;
    },
    endToken: () => {},
    isResident,
    size: () => small.length + main.length,
  };
};

/** The queue with its newest first and the hand as a place in it, as the paper draws it. */
const sieveSlow: Twin = ({ slots, onEvict }) => {
  const queue: Array<{ readonly thing: number; visited: boolean }> = [];
  let hand = -1;
  const find = (thing: number): { visited: boolean } | undefined => queue.find((entry) => entry.thing === thing);
  return {
    request: (thing) => {
      const found = find(thing);
      if (found !== undefined) found.visited = true;
      if (found !== undefined || slots === 0) return found !== undefined;
      if (queue.length === slots) {
        if (hand < 0) hand = slots - 1;
        while (queue[hand].visited) {
          queue[hand].visited = false;
          hand = hand === 0 ? slots - 1 : hand - 1;
        }
        onEvict(queue.splice(hand--, 1)[0].thing);
      }
      queue.unshift({ thing, visited: false });
      if (hand >= 0) hand++;
      return false;
    },
    endToken: () => {},
    isResident: (thing) => find(thing) !== undefined,
    size: () => queue.length,
  };
};

/** Figure 4 of the paper with its names and cases; lists have the least recently used first. */
const arcSlow: Twin = ({ slots: c, onEvict }) => {
  const [t1, t2, b1, b2]: ReadonlyArray<Array<number>> = [[], [], [], []];
  let p = 0;
  const take = (list: Array<number>, thing: number): boolean => list.includes(thing) && list.splice(list.indexOf(thing), 1).length > 0;
  const replace = (inB2: boolean): void => {
    if (t1.length + t2.length < c) return;
    const [from, ghosts] = t1.length >= 1 && (t1.length > p || (inB2 && t1.length === p)) ? [t1, b1] : [t2, b2];
    ghosts.push(from.shift()!);
    onEvict(ghosts.at(-1)!);
  };
  return {
    request: (x) => {
      if (take(t1, x) || take(t2, x)) {
        t2.push(x);
        return true;
      }
      if (c === 0) return false;
      if (b1.includes(x)) {
        p = Math.min(c, p + (b1.length >= b2.length ? 1 : Math.floor(b2.length / b1.length)));
        replace(false);
        take(b1, x);
        t2.push(x);
      } else if (b2.includes(x)) {
        p = Math.max(0, p - (b2.length >= b1.length ? 1 : Math.floor(b1.length / b2.length)));
        replace(true);
        take(b2, x);
        t2.push(x);
      } else {
        const all = t1.length + t2.length + b1.length + b2.length;
        if (t1.length === c) onEvict(t1.shift()!);
        else if (t1.length + b1.length === c) {
          b1.shift();
          replace(false);
        } else if (all >= c) {
          if (all === 2 * c) b2.shift();
          replace(false);
        }
        t1.push(x);
      }
      return false;
    },
    endToken: () => {},
    isResident: (x) => t1.includes(x) || t2.includes(x),
    size: () => t1.length + t2.length,
  };
};

export const evictionSlow: Readonly<Record<string, Twin>> = {
  lru: lruSlow, window: windowSlow, "static-hot": staticHotSlow, clock: clockSlow, lfu: lfuSlow, "s3-fifo": s3FifoSlow, sieve: sieveSlow, arc: arcSlow, belady: beladySlow,
};
