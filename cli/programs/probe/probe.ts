/** This machine to a device profile: decode the words, measure, check that the simulator can read it, describe. */
import { basename, resolve } from "node:path";
import { E, RTE, TE, pipe, type Either } from "../../../sim/base/fp.js";
import { decode, parseJson, type Exact } from "../../../sim/base/decode.js";
import { badInput, describeError, fault, type AppError, type Mistake } from "../../../sim/base/errors.js";
import { deviceCodec, type DeviceProfile } from "../../../sim/domain/device.js";
import { measurementsCodec, type Measurements } from "../../../sim/domain/measurements.js";
import { PROBE_PARTS, type ProbeReport, type ProbeStep } from "../../../engine/index.js";
import { absent, choice, decodeWords, optional, outputFile, shared, size, switchedOn, word } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { THIS_HOST, inFormat, type Answer, type Program } from "../../program.js";
import { describeDevice, describeTables } from "./describe.js";

const fields = {
  ...shared,
  quick: switchedOn,
  out: absent(outputFile),
  dir: optional(word("name a folder"), "."),
  scratch: absent(size()),
  only: absent(choice(...PROBE_PARTS)),
};

type Args = Exact<typeof fields>;

/** The scratch file is written in pieces of so much. */
const PIECE = 2 * 2 ** 20;

/** A profile is called as its file is. */
const nameOf = (out: string | null): string => (out === null ? THIS_HOST : basename(out).replace(/\.json$/, "") || THIS_HOST);

/** What was typed, for the source of every number. */
const commandOf = (args: Measuring): string =>
  ["neuronlab probe", ...(args.quick ? ["--quick"] : []), ...(args.scratch === null ? [] : [`--scratch ${args.scratch}B`]), ...(args.only === null ? [] : [`--only ${args.only}`])].join(" ");

/** How much is measured, and on which disk; `out`: null for the profile of this machine. */
export type Measuring = Pick<Args, "quick" | "dir" | "scratch" | "only" | "out">;

/** null when it was interrupted. */
export const measure = (args: Measuring): Program<ProbeReport | null> => (capabilities) =>
  capabilities.interruptible((signal) => {
    let gauge: ReturnType<typeof capabilities.gauge> | null = null;
    const onStep = ({ done, total }: ProbeStep): void => {
      gauge ??= capabilities.gauge(Math.ceil(total), "s planned");
      gauge.at(Math.floor(done));
    };
    const request = {
      depth: args.quick ? ("quick" as const) : ("full" as const),
      dir: resolve(args.dir),
      scratch: args.scratch === null ? null : Math.ceil(args.scratch / PIECE) * PIECE,
      only: args.only,
      name: nameOf(args.out),
      command: commandOf(args),
    };
    return pipe(
      capabilities.engine.probe(request, { onStep, signal }),
      TE.mapLeft(asTyped),
      (task) => async () => {
        const ended = await task();
        gauge?.end();
        return ended;
      },
    );
  });

/** The engine names arguments; people typed flags. */
const asTyped = (error: AppError): AppError =>
  error._tag === "BadInput" ? badInput(error.where, error.mistakes.map((mistake) => (Object.hasOwn(fields, mistake.path) ? { ...mistake, path: `--${mistake.path}` } : mistake))) : error;

/** What the engine measured must be what the simulator reads. */
const ours = (what: string) => (error: AppError): AppError => fault(`${what} that was measured cannot be read: ${describeError(error)}`);

/** The profile that was measured, as the simulator reads it. */
export const profileOf = (report: ProbeReport): Either<AppError, DeviceProfile> => pipe(parseJson("the profile", report.profile), E.chain(decode(deviceCodec, "the profile")), E.mapLeft(ours("the profile")));

const ended = (args: Args, report: ProbeReport): Program<Answer> => (capabilities) => {
  const raw = parseJson("the profile", report.profile);
  const notes = report.notes.map((note) => `note: ${note}`);
  if (args.only !== null) {
    return pipe(
      TE.fromEither(pipe(raw, E.chain(decode(measurementsCodec, "the tables")), E.mapLeft(ours("the table")))),
      TE.map((tables: Measurements): Answer => ({ stdout: inFormat(args.format, { text: describeTables(tables), json: { only: args.only, seconds: report.seconds, measurements: E.isRight(raw) ? raw.right : null } }), notes })),
    );
  }
  const out = args.out ?? capabilities.thisHost;
  return pipe(
    TE.fromEither(profileOf(report)),
    TE.map((device): Answer => {
      const next = `neuronlab simulate --device ${args.out === null ? THIS_HOST : args.out}`;
      return {
        stdout: inFormat(args.format, { text: `${describeDevice(device)}\n\n${out}: measured in ${report.seconds.toFixed(0)} s; ${next} reads it`, json: { out, seconds: report.seconds, notes: report.notes, profile: E.isRight(raw) ? raw.right : null } }),
        files: [{ path: out, text: `${report.profile}\n` }],
        notes,
      };
    }),
  );
};

const together = (args: { readonly only?: string | null; readonly out?: string | null }): ReadonlyArray<Mistake> =>
  typeof args.only === "string" && typeof args.out === "string" ? [{ path: "--out", message: "a profile needs all parts; leave --only out, or --out" }] : [];

export const probeProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, fields, together)(given)),
    RTE.chain((args) => pipe(measure(args), RTE.chain((report): Program<Answer> => (report === null ? RTE.right({ stdout: "", notes: ["interrupted: nothing was written"] }) : ended(args, report))))),
  );
