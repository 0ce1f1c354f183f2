/**
 * A bar with an estimate of what is left, on stderr and only when that is a terminal. It leaves the terminal's cursor and
 * line wrapping alone, so that Ctrl-C needs no clean-up.
 */
import { SingleBar } from "cli-progress";

export interface Progress { readonly step: () => void; readonly end: () => void }

/** A bar that is told where it is. */
export interface Gauge { readonly at: (done: number) => void; readonly end: () => void }

const barOf = (unit: string, stream: NodeJS.WriteStream): SingleBar =>
  new SingleBar({ stream, format: `{bar} {value}/{total} ${unit}, {duration_formatted} gone, about {eta_formatted} left`, barsize: 30, hideCursor: false, linewrap: true, clearOnComplete: true });

export const gaugeOf = (total: number, unit: string, stream: NodeJS.WriteStream = process.stderr): Gauge => {
  if (!stream.isTTY || total < 2) return { at: () => undefined, end: () => undefined };
  const bar = barOf(unit, stream);
  bar.start(total, 0);
  return { at: (done) => bar.update(done), end: () => bar.stop() };
};

export const progressOf = (total: number, stream: NodeJS.WriteStream = process.stderr): Progress => {
  if (!stream.isTTY || total < 2) return { step: () => undefined, end: () => undefined };
  const bar = barOf("runs", stream);
  bar.start(total, 0);
  return { step: () => bar.increment(), end: () => bar.stop() };
};
