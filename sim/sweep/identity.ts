/**
 * What a run is known by. Its key is the hash of all that its result depends on: documents, request, plan, seed, and the program's code. Its seed
 * follows from the sweep's seed, the point and the number of the repetition, and so from nothing that an order or a number of workers could change.
 */
import { canonical } from "../base/canonical.js";
import type { Resolved } from "./resolve.js";

/** Text to a hash in hexadecimal digits, the same everywhere. */
export type Digest = (text: string) => string;

export interface Identity {
  /** Of the documents and the request without its seed. */
  readonly point: string;
  readonly device: string;
  readonly model: string;
  readonly system: string;
}

export const identities = (digest: Digest) => {
  // A document is one object for all points that share it, and is hashed once.
  const known = new WeakMap<object, string>();
  const hashOf = (document: object): string => {
    const before = known.get(document);
    if (before !== undefined) return before;
    const hash = digest(canonical(document));
    known.set(document, hash);
    return hash;
  };
  return (run: Resolved): Identity => {
    const { seed: _, ...request } = run.request;
    const [device, model, system] = [hashOf(run.device), hashOf(run.model), hashOf(run.system)];
    return { point: digest(canonical({ device, model, system, request })), device, model, system };
  };
};

export const seedOf = (digest: Digest, sweepSeed: number, point: string, repetition: number): number => Number.parseInt(digest(`${sweepSeed}/${point}/${repetition}`).slice(0, 8), 16);

export const keyOf = (digest: Digest, code: string, point: string, seed: number): string => digest(canonical({ code, point, seed }));
