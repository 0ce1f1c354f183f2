/** What else keeps this machine busy, seen while this program and its children sleep: a mean of the last minute would count their own building. */
import { cpus } from "node:os";

/** Milliseconds since the system started, of one core. */
export interface Times { readonly user: number; readonly nice: number; readonly sys: number; readonly idle: number; readonly irq: number }

const busy = ({ user, nice, sys, irq }: Times): number => user + nice + sys + irq;

/** Cores that worked from one look to the other; clocks tick in steps of ten milliseconds, so looks should be a second apart. Zero where no time passed. */
export const busyCores = (before: ReadonlyArray<Times>, after: ReadonlyArray<Times>): number =>
  after.reduce((sum, now, core) => {
    const then = before[core] ?? now;
    const [worked, rested] = [Math.max(0, busy(now) - busy(then)), Math.max(0, now.idle - then.idle)];
    return worked + rested === 0 ? sum : sum + worked / (worked + rested);
  }, 0);

/** Over the next so many milliseconds, in which the caller must do nothing. */
export const othersBusy = async (milliseconds: number, look: () => ReadonlyArray<Times> = () => cpus().map(({ times }) => times)): Promise<number> => {
  const before = look();
  await new Promise((done) => setTimeout(done, milliseconds));
  return busyCores(before, look());
};
