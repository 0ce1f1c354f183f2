/** Whether a sweep could be given to a queue, as far as this machine is concerned. */
import { createRequire } from "node:module";

/** Name and version; null where it cannot be loaded. It is loaded as a sweep would load it, and no server is asked. */
export const queuesHere = async (): Promise<string | null> => {
  try {
    await import("bullmq");
    return `BullMQ ${(createRequire(import.meta.url)("bullmq/package.json") as { readonly version: string }).version}`;
  } catch {
    return null;
  }
};
