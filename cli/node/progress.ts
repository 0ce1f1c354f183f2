/**
 * A bar with an estimate of what is left, on stderr and only when that is a terminal. It leaves the terminal's cursor and
 * line wrapping alone, so that Ctrl-C needs no clean-up.
 */
import { SingleBar } from "cli-progress";

export interface Progress { readonly step: () => void; readonly end: () => void }

const silent: Progress = { step: () => undefined, end: () => undefined };

export const progressOf = (total: number, stream: NodeJS.WriteStream = process.stderr): Progress => {
  if (!stream.isTTY || total < 2) return silent;
  const bar = new SingleBar({ stream, format: "{bar} {value}/{total} runs, {duration_formatted} gone, about {eta_formatted} left", barsize: 30, hideCursor: false, linewrap: true, clearOnComplete: true });
  bar.start(total, 0);
  return { step: () => bar.increment(), end: () => bar.stop() };
};
