/** Step 1: what this machine can do, as `probe --quick` finds it; kept where probe keeps it. */
import { join } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../../sim/base/fp.js";
import { decode, parseJson } from "../../../sim/base/decode.js";
import type { AppError } from "../../../sim/base/errors.js";
import { deviceCodec, type DeviceProfile } from "../../../sim/domain/device.js";
import { describeDevice } from "../probe/describe.js";
import { measure, profileOf } from "../probe/probe.js";
import { lines } from "./lines.js";
import type { TourContext, Work } from "./context.js";

export interface Machine {
  readonly device: DeviceProfile;
  /** The profile's file. */
  readonly profile: string;
  /** Whether it lay there already. */
  readonly kept: boolean;
  /** Of measuring; null where nothing was measured now. */
  readonly seconds: number | null;
  /** What disturbed it, and what the system does not tell. */
  readonly notes: ReadonlyArray<string>;
}

/** A profile of an earlier version, or a damaged one, is none. */
const keptProfile = ({ capabilities, fresh }: TourContext): TaskEither<AppError, DeviceProfile | null> =>
  fresh
    ? TE.right(null)
    : pipe(
        capabilities.readStored(capabilities.thisHost),
        TE.map((text) => {
          const read = text === null ? null : pipe(parseJson("profile", text), E.chain(decode(deviceCodec, "profile")));
          return read !== null && E.isRight(read) ? read.right : null;
        }),
      );

const measured = ({ capabilities, cache }: TourContext): TaskEither<AppError, Machine | null> =>
  pipe(
    // The first file that is written makes the folder; the disk below it is the one that models are read from.
    capabilities.write([{ path: join(cache, "README.txt"), text: "Models of neuronlab tour, made again where they are missing: this folder may be deleted at any time.\n" }]),
    TE.chain(() => measure({ quick: true, dir: cache, scratch: null, only: null, out: null })(capabilities)),
    TE.chain((report): TaskEither<AppError, Machine | null> => (report === null
      ? TE.right(null)
      : pipe(
          TE.fromEither(profileOf(report)),
          TE.chainFirst(() => capabilities.write([{ path: capabilities.thisHost, text: `${report.profile}\n` }])),
          TE.map((device): Machine => ({ device, profile: capabilities.thisHost, kept: false, seconds: report.seconds, notes: report.notes })),
        ))),
  );

export const machineStep: Work<Machine> = (context) =>
  pipe(
    keptProfile(context),
    TE.chain((device): TaskEither<AppError, Machine | null> => (device === null
      ? measured(context)
      : TE.right({ device, profile: context.capabilities.thisHost, kept: true, seconds: null, notes: device.measurements?.notes ?? [] }))),
  );

/** So many are told. */
const NOTES = 3;

export const tellMachine = ({ device, profile, kept, seconds, notes }: Machine): string =>
  lines([
    describeDevice(device),
    "",
    kept
      ? `Kept from before (${device.measurements?.source ?? "of another origin"}; --fresh measures again): ${profile}`
      : `Measured in ${(seconds ?? 0).toFixed(0)} s, and kept: ${profile}`,
    ...(notes.length === 0 ? [] : [`Notes: ${notes.slice(0, NOTES).join("; ")}${notes.length > NOTES ? `; and ${notes.length - NOTES} more` : ""}.`]),
  ]);

export const machineJson = ({ device, ...rest }: Machine): unknown => ({
  ...rest,
  title: device.title,
  kernels: device.measurements?.backend ?? null,
  source: device.measurements?.source ?? null,
  cores: device.cpu.clusters.reduce((sum, { count }) => sum + count.value, 0),
  weightsGBPerSec: device.cpu.bandwidth.value,
  memoryGBPerSec: device.dram.sustained.value,
});
