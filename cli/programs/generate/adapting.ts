/** Adapting while generating: what of profiles the engine compares its measurements with. */
import { RTE, pipe } from "../../../sim/base/fp.js";
import type { Mistake } from "../../../sim/base/errors.js";
import type { DeviceProfile } from "../../../sim/domain/device.js";
import type { SlowStorage } from "../../../sim/domain/slow-storage.js";
import type { SystemSpec } from "../../../sim/domain/system.js";
import { storageRates } from "../../../sim/hardware/flash.js";
import { WINDOW } from "../../../sim/inference/gated/adaptive.js";
import type { AdaptRequest } from "../../../engine/index.js";
import { gather, type Program } from "../../program.js";
import { decodePasses, lateSlowing } from "../late-slowing.js";
import { loadDevice, loadSystem } from "../load.js";

const HOST = "this-host";
const SYSTEM = "neuronlab";
/** Reads of decoding jump about in one expert's region; of which size is not known before the file is open, and matters little. */
const RANGE_BYTES = 128e6;

const isGiven = (arg: unknown): boolean => arg !== null && arg !== undefined;

export const adaptMistakes = (args: Readonly<Record<string, unknown>>, inMemory: boolean, slow: SlowStorage | null | undefined, tokens: number | undefined): ReadonlyArray<Mistake> => [
  ...(args["adapt"] === true && inMemory ? [{ path: "--adapt", message: "changes how flash is read, and without --memory everything is in memory; give --memory too, or leave it out" }] : []),
  ...(args["adapt"] === true && isGiven(args["predictor"]) ? [{ path: "--adapt", message: "changes how gate rows are read where every gate decides, and --predictor decides instead; give one of them" }] : []),
  ...(isGiven(args["slow-storage"]) && args["shape-flash"] === null ? [{ path: "--slow-storage", message: "makes a modelled storage slower, and this disk is what it is; give --shape-flash too, or leave it out" }] : []),
  ...lateSlowing(slow, tokens === undefined ? undefined : decodePasses(tokens)),
];

/** A text may end before its storage became slower. */
export const neverSlowed = (slow: SlowStorage | null, tokens: number): ReadonlyArray<string> =>
  lateSlowing(slow, decodePasses(tokens)).length === 0 ? [] : [`--slow-storage was without effect: the text ended after ${tokens} tokens, before storage became slower; --ignore-end goes on behind the end`];

const requestOf = ({ flash }: DeviceProfile, { software }: SystemSpec): AdaptRequest => ({
  every: WINDOW,
  ...storageRates(flash, RANGE_BYTES),
  ownNs: software.readCost?.own.value ?? 0,
  handedNs: software.readCost?.handed.value ?? 0,
});

/** `device`: whose flash reads are slowed down to; without one this machine's own profile. null where nothing is to adapt. */
export const adaptFor = (adapts: boolean, device: string | null): Program<AdaptRequest | null> =>
  adapts ? pipe(gather({ device: loadDevice(device ?? HOST), system: loadSystem(SYSTEM) }), RTE.map((known) => requestOf(known.device, known.system))) : RTE.right(null);
