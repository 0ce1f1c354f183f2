/** A text through a model, what fired to a trace: decode the words, record, read the trace back, describe. */
import { E, RTE, TE, pipe } from "../../../sim/base/fp.js";
import type { Exact } from "../../../sim/base/decode.js";
import { badInput, type AppError, type Mistake } from "../../../sim/base/errors.js";
import { showBytes } from "../../../sim/base/units.js";
import { traceStatistics, type TraceStatistics } from "../../../sim/neurons/trace-statistics.js";
import { decodeTrace, type ActivationTrace } from "../../../sim/neurons/trace.js";
import type { RecordReport, RecordRequest } from "../../../engine/index.js";
import { absent, argument, decimal, inputFile, isSamePath, outputFile, readWords, shared, switchedOn, verbatim, wholeNumber, type Sound } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { gather, inFormat, type Answer, type Program } from "../../program.js";
import { asTyped } from "../as-typed.js";
import { recordedModel } from "./recorded-model.js";
import { withShippedModel } from "../models/shipped-model.js";

const DEFAULTS = { tokens: 128, temperature: 0, seed: 1 } as const;

const fields = {
  ...shared,
  model: inputFile,
  out: outputFile,
  prompt: absent(verbatim("give the text that is to be read")),
  "prompt-file": absent(inputFile),
  window: absent(wholeNumber(1, 1 << 24)),
  tokens: absent(wholeNumber(0, 1 << 20)),
  temperature: absent(decimal(0, 100)),
  "ignore-end": switchedOn,
  threads: absent(wholeNumber(1, 1024)),
  spec: absent(outputFile),
};

type Args = Exact<typeof fields>;

const contradictions = (args: Sound<typeof fields>): ReadonlyArray<Mistake> => {
  const files = [["--out", args.out], ["--spec", args.spec], ["--model", args.model], ["--prompt-file", args["prompt-file"]]] as const;
  const clash = ([path, name]: (typeof files)[number], place: number): ReadonlyArray<Mistake> => (place < 2 ? files.slice(place + 1).filter(([, other]) => isSamePath(name, other)).map(([flag]) => ({ path, message: `names the same file as ${flag}: ${String(name)}` })) : []);
  return [
    ...(args.prompt === null && args["prompt-file"] === null ? [{ path: "--prompt", message: "is missing; give a text, or with --prompt-file a file that has one" }] : []),
    ...(typeof args.prompt === "string" && typeof args["prompt-file"] === "string" ? [{ path: "--prompt-file", message: "is the text, and so is --prompt; give one of them" }] : []),
    ...files.flatMap(clash),
  ];
};

const textIn = (path: string): Program<string> => (capabilities) =>
  pipe(
    capabilities.readStored(path),
    TE.chain((text) => (text === null || text.trim() === "" ? TE.left(badInput(path, [{ path: "(whole)", message: text === null ? "there is no such file" : "has no text" }])) : TE.right(text))),
  );

const requestOf = (args: Args, prompt: string): RecordRequest => ({
  model: args.model,
  out: args.out,
  prompt,
  window: args.window,
  tokens: args.tokens ?? DEFAULTS.tokens,
  stopAtEnd: !args["ignore-end"],
  temperature: args.temperature ?? DEFAULTS.temperature,
  seed: args.seed ?? DEFAULTS.seed,
  threads: args.threads,
});

const record = (where: string, request: RecordRequest): Program<RecordReport | null> => (capabilities) =>
  capabilities.interruptible((signal) => {
    let gauge: ReturnType<typeof capabilities.gauge> | null = null;
    const onStep = ({ done, total }: { readonly done: number; readonly total: number }): void => {
      gauge ??= capabilities.gauge(total, "tokens");
      gauge.at(done);
    };
    return pipe(
      capabilities.engine.record(request, { onStep, signal }),
      TE.mapLeft(asTyped(fields, where)),
      (task) => async () => {
        const ended = await task();
        gauge?.end();
        return ended;
      },
    );
  });

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

const hottest = (statistics: TraceStatistics, share: number): string => percent(statistics.skew.find((point) => point.neurons === share)?.activations ?? 0);

const describe = (args: Args, report: RecordReport, trace: ActivationTrace): Answer => {
  const statistics = traceStatistics(trace);
  const experts = report.experts === 1 ? "" : `, ${report.expertsUsed} of ${report.experts} experts`;
  const lines = [
    `${args.out}: ${trace.tokens} tokens (${report.promptTokens} of the prompt), ${showBytes(report.bytes)}`,
    `${report.architecture}, ${report.activation}; ${report.layers} layers of ${report.neurons} neurons${experts}`,
    trace.neuronsRecorded
      ? `active ${percent(statistics.activeShare)} of the neurons; the hottest 10% have ${hottest(statistics, 0.1)} of the activations; overlap ${statistics.tokenOverlap.toFixed(3)}; a token varies by ${percent(statistics.tokenVariation)}`
      : "all neurons are active for every token: only experts were recorded",
    ...(report.experts === report.expertsUsed ? [] : [`an expert is used again with probability ${statistics.expertRepeat.toFixed(3)}`]),
    ...(args.spec === null ? [] : [`${args.spec}: the model with these statistics; neuronlab simulate --model ${args.spec.includes("/") ? args.spec : `./${args.spec}`} --activations ${args.out} --fidelity neuron`]),
  ];
  return {
    stdout: inFormat(args.format, { text: lines.join("\n"), json: { out: args.out, ...report, share: report.share ?? null, tokens: trace.tokens, neuronsRecorded: trace.neuronsRecorded, statistics } }),
    ...(args.spec === null ? {} : { files: [{ path: args.spec, text: `${JSON.stringify(recordedModel(report, trace, args.model), null, 2)}\n` }] }),
  };
};

type Typed = ReturnType<ReturnType<typeof readWords<typeof fields>>>;

const promptOf = (reading: Typed): E.Either<AppError, { readonly text: string | null; readonly file: string | null }> =>
  pipe(
    argument(reading, "prompt"),
    E.chain((text) => pipe(argument(reading, "prompt-file"), E.map((file) => ({ text, file })))),
  );

/** What was written is read as the simulator reads it: a trace that it would refuse is our fault, now. */
const readBack = (path: string): Program<ActivationTrace> => (capabilities) => pipe(capabilities.readBytes(path), TE.chain((bytes) => TE.fromEither(decodeTrace(path)(bytes))));

export const recordProgram = (command: Command) => (given: Words): Program<Answer> => pipe(withShippedModel(given), RTE.chain(recordOf(command)));

const recordOf = (command: Command) => (given: Words): Program<Answer> => {
  const where = `neuronlab ${command.name}`;
  const reading = readWords(command, fields, contradictions)(given);
  const prompt = pipe(
    RTE.fromEither(promptOf(reading)),
    RTE.chain((from): Program<string> => (from.file === null ? RTE.right(from.text ?? "") : textIn(from.file))),
  );
  return pipe(
    gather({ args: RTE.fromEither(reading.args), prompt }),
    RTE.chain(({ args, prompt: text }) =>
      pipe(
        record(where, requestOf(args, text)),
        RTE.chain((report): Program<Answer> => (report === null ? RTE.right({ stdout: "", notes: ["interrupted: nothing was written"] }) : pipe(readBack(args.out), RTE.map((trace) => describe(args, report, trace))))),
      )),
  );
};
