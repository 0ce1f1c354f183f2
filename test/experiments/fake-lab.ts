/** A laboratory whose runs are invented: a speed for each case from its key, so that every experiment can be evaluated in no time. */
import type { Case, Experiment, Lab } from "../../experiments/experiment.js";
import { experiments } from "../../experiments/index.js";
import type { SimulatedRun } from "../../sim/domain/run.js";
import { loadDevice, loadModel } from "../data/profiles.js";
import { fakeRunRecord } from "../fakes/run-record.js";

const casesOf = (all: ReadonlyArray<Experiment>): ReadonlyMap<string, Case> => new Map(all.flatMap((e) => e.cases).map((c) => [c.key, c]));

/** Between 1 and 20, from the letters of the key. */
const speedOf = (key: string): number => 1 + ([...key].reduce((hash, c) => (hash * 31 + c.charCodeAt(0)) % 9973, 7) % 190) / 10;

export const fakeLab = (options: { readonly missing?: (key: string) => boolean; readonly record?: (given: Case) => SimulatedRun } = {}): Lab => {
  const cases = casesOf(experiments);
  const isMissing = options.missing ?? (() => false);
  return {
    run: (key) => {
      const found = cases.get(key);
      if (found === undefined) throw new Error(`no such case: ${key}`);
      if (isMissing(key)) return null;
      return options.record?.(found) ?? fakeRunRecord(found.request, speedOf(key));
    },
    reason: (key) => (isMissing(key) ? "does not fit in memory" : null),
    device: (name) => loadDevice(`devices/${name}.json`),
    model: (name) => loadModel(`models/${name}.json`),
  };
};
