/** What things are called in Redis. Each version of the code has a queue of its own: a worker of another version is never asked. */
import type { QueueAt } from "../../executor.js";

export const PREFIX = "neuronlab";

export const shortCode = (code: string): string => code.slice(0, 12);

export const queueName = ({ name, code }: QueueAt): string => `${name}-${shortCode(code)}`;

/** Two stores that want the same run do not share the job: each takes its own out when it has been kept. */
export const jobId = (owner: string, key: string): string => `${owner}-${key}`;

export const documentKey = (name: string, hash: string): string => `${PREFIX}:${name}:document:${hash}`;

/** A worker that is connected, as the server lists it: what it is called, and the code of its queue. */
export interface Present { readonly worker: string; readonly code: string }

/**
 * The workers of a queue's name, whatever their code, from the text of CLIENT LIST. BullMQ calls their connections PREFIX:QUEUE:w:WORKER, with the
 * queue's name in base64.
 */
export const presentIn = (clients: string, name: string): ReadonlyArray<Present> =>
  clients.split(/\r?\n/).flatMap((line) => {
    const [, queue, worker] = new RegExp(`(?:^| )name=${PREFIX}:([A-Za-z0-9+/=]+):w:(\\S+)`).exec(line) ?? [];
    if (queue === undefined || worker === undefined) return [];
    const [, of, code] = /^(.*)-([0-9a-f]{12})$/.exec(Buffer.from(queue, "base64").toString("utf8")) ?? [];
    return of === name && code !== undefined ? [{ worker, code }] : [];
  });
