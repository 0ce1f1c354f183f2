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

export const evictionSlow: Readonly<Record<string, Twin>> = { lru: lruSlow, window: windowSlow, "static-hot": staticHotSlow, clock: clockSlow, belady: beladySlow };
