/**
 * Which neuron leaves when room is needed. May import sim/base and sim/neurons. To add a policy: one file that exports an
 * `EvictionPolicy`, one entry here; the conformance suite (test/sim/policies) then runs on it, and
 * `UPDATE_VECTORS=1 npx vitest run test/sim/policies` writes its vectors.
 */
import { registry } from "../../base/registry.js";
import { belady } from "./belady.js";
import { clock } from "./clock.js";
import { lru } from "./lru.js";
import { staticHot } from "./static-hot.js";
import { window } from "./window.js";

export type { EvictionPolicy, EvictionSetting, EvictionState } from "./eviction.js";

export const evictionPolicies = registry("eviction policy", [lru, window, staticHot, clock, belady]);
