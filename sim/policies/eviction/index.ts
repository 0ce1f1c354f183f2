/**
 * Which neuron leaves when room is needed. May import sim/base and sim/neurons. To add a policy: one file that exports an
 * `EvictionPolicy`, one entry here; the conformance suite (test/sim/policies) then runs on it, and
 * `UPDATE_VECTORS=1 npx vitest run test/sim/policies` writes its vectors. The engine's policies (engine/crates/cache) have
 * the same names and decide alike: each side's tests replay the other's vectors.
 */
import { registry } from "../../base/registry.js";
import { arc } from "./arc.js";
import { belady } from "./belady.js";
import { clock } from "./clock.js";
import { lfu } from "./lfu.js";
import { lru } from "./lru.js";
import { s3Fifo } from "./s3-fifo.js";
import { sieve } from "./sieve.js";
import { staticHot } from "./static-hot.js";
import { window } from "./window.js";

export type { EvictionPolicy, EvictionSetting, EvictionState, Held } from "./eviction.js";

export const evictionPolicies = registry("eviction policy", [lru, window, staticHot, clock, lfu, s3Fifo, sieve, arc, belady]);
