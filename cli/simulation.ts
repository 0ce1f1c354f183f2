/** One simulation: what it needs, and what comes of it. */
import type { Either } from "../sim/base/fp.js";
import type { AppError } from "../sim/base/errors.js";
import type { DeviceProfile } from "../sim/domain/device.js";
import type { ModelSpec } from "../sim/domain/model.js";
import type { SimulatedRun, RunRequest } from "../sim/domain/run.js";
import type { SystemSpec } from "../sim/domain/system.js";
import type { Replay } from "../sim/neurons/routing.js";

/** Travels to a worker thread as it is. */
export interface RunInputs { readonly device: DeviceProfile; readonly model: ModelSpec; readonly system: SystemSpec; readonly request: RunRequest; readonly activations?: Uint8Array; readonly replay?: Replay }

export type Outcome = Either<AppError, SimulatedRun>;
