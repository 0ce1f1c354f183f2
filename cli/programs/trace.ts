/** A saved run record to a timeline, or to a summary of what each lane did. */
import { E, RTE, pipe, type Either } from "../../sim/base/fp.js";
import { decode, exactly, flag, list, nullable, number, oneOf, text } from "../../sim/base/decode.js";
import { badInput, type AppError, type Mistake } from "../../sim/base/errors.js";
import { showNs } from "../../sim/base/units.js";
import { ACTIVITIES, type LaneUse, type SpanRow } from "../../sim/domain/run.js";
import { showNumber, table } from "../../sim/report/table.js";
import { summariseLanes, timeline, timelineText } from "../../sim/report/timeline.js";
import { absent, argument, inputFile, isSamePath, outputFile, readWords, shared } from "../args.js";
import type { Command, Words } from "../command.js";
import { gather, inFormat, type Answer, type Loaded, type Program } from "../program.js";

const timed = number(0, Number.MAX_SAFE_INTEGER);

/** The part of a run record that a timeline needs; the rest may be anything. */
const partCodec = exactly({
  schema: oneOf("neuronlab/run@1"),
  origin: oneOf("simulated", "measured"),
  title: text,
  wallNs: timed,
  lanes: list(exactly({ lane: text, busyNs: timed, servers: number(1, Number.MAX_SAFE_INTEGER) })),
  spans: list(exactly({ lane: text, what: oneOf(...ACTIVITIES), startNs: timed, endNs: timed, token: number(-1, Number.MAX_SAFE_INTEGER), layer: number(-1, Number.MAX_SAFE_INTEGER), critical: nullable(flag) })),
});

interface Part { readonly origin: string; readonly title: string; readonly wallNs: number; readonly lanes: ReadonlyArray<LaneUse>; readonly spans: ReadonlyArray<SpanRow> }

const decodeRecord = ({ where, raw }: Loaded): Either<AppError, Part> => {
  if (typeof raw !== "object" || raw === null) return E.left(badInput(where, [{ path: "(whole)", message: "is not a run record; make one with neuronlab simulate --save FILE" }]));
  if ("traceEvents" in raw) return E.left(badInput(where, [{ path: "(whole)", message: "is a timeline already; open it at ui.perfetto.dev, or give the run record of simulate --save" }]));
  if (!("schema" in raw) || raw.schema !== "neuronlab/run@1") return E.left(badInput(where, [{ path: "schema", message: "should be neuronlab/run@1: a run record, as made by neuronlab simulate --save FILE or neuronlab generate --save FILE" }]));
  const record = raw as Readonly<Record<string, unknown>>;
  const inputs = (record.inputs ?? {}) as Readonly<Record<string, unknown>>;
  const title = `${String(inputs.model)} on ${String(inputs.device)} with ${String(inputs.system)} (${String(record.origin)} ${String(inputs.phase)})`;
  const decoded = decode(partCodec, where)({ schema: record.schema, origin: record.origin, title, wallNs: record.wallNs, lanes: record.lanes, spans: record.spans });
  if (E.isRight(decoded) && decoded.right.spans.length === 0) return E.left(badInput(where, [{ path: "spans", message: "holds none: the run was made without a timeline; make it again with simulate --save FILE" }]));
  return decoded;
};

const describe = (part: Part, to: { readonly file: string; readonly out: string | null; readonly format: "table" | "json" }): Answer => {
  const lanes = summariseLanes(part.lanes, part.spans, part.wallNs);
  const lines = [
    part.title,
    `${part.spans.length} spans over ${showNs(part.wallNs)}`,
    "",
    table(
      [{ title: "lane" }, { title: "spans", align: "right" }, { title: "busy", align: "right" }, { title: "at a time", align: "right" }, { title: "critical", align: "right" }, { title: "mostly" }],
      lanes.map((lane) => [lane.lane, String(lane.spans), showNs(lane.busyNs), showNumber(lane.meanInUse), lane.criticalNs === null ? "--" : showNs(lane.criticalNs), lane.mostly]),
    ),
    "",
    to.out === null ? `timeline: neuronlab trace ${to.file} --out timeline.json   (open it at ui.perfetto.dev)` : `timeline: ${to.out}   (open it at ui.perfetto.dev)`,
  ];
  return {
    stdout: inFormat(to.format, { text: lines.join("\n"), json: { title: part.title, origin: part.origin, wallMs: part.wallNs / 1e6, spans: part.spans.length, lanes } }),
    files: to.out === null ? [] : [{ path: to.out, text: timelineText(timeline(part)) }],
    notes: to.out === null ? [] : [`wrote ${to.out}`],
  };
};

const fields = { ...shared, file: inputFile, out: absent(outputFile) };

export const traceProgram = (command: Command) => (given: Words): Program<Answer> => {
  const reading = readWords(command, fields, (sound): ReadonlyArray<Mistake> =>
    sound.file !== undefined && isSamePath(sound.out, sound.file) ? [{ path: "--out", message: `names the file that is read: ${sound.file}` }] : [])(given);
  return pipe(
    gather({
      args: RTE.fromEither(reading.args),
      part: pipe(
        RTE.fromEither(argument(reading, "file")),
        RTE.chain((path): Program<Loaded> => (capabilities) => capabilities.readJson(path)),
        RTE.chain((loaded) => RTE.fromEither(decodeRecord(loaded))),
      ),
    }),
    RTE.map(({ args, part }) => describe(part, { file: args.file, out: args.out, format: args.format })),
  );
};
