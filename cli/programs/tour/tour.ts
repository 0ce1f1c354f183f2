/** The whole loop, small: this machine measured, a run here predicted and made, a phone planned for, a figure of the paper, and what to try next. */
import { dirname, join, resolve } from "node:path";
import { E, RTE, pipe } from "../../../sim/base/fp.js";
import type { Exact } from "../../../sim/base/decode.js";
import { exitCode } from "../../../sim/base/errors.js";
import { absent, decodeWords, optional, outputFolder, shared, switchedOn, word } from "../../args.js";
import type { Command, Words } from "../../command.js";
import { inFormat, type Answer, type Capabilities, type Program } from "../../program.js";
import { DEFAULTS, quoted } from "../simulate.js";
import type { Parts, TourContext } from "./context.js";
import { figureJson, figureStep, tellFigure } from "./figure.js";
import { flowing, lines } from "./lines.js";
import { machineJson, machineStep, tellMachine } from "./machine.js";
import { modelJson, modelStep, tellModel } from "./model.js";
import { nextOf, type Next } from "./next.js";
import { phoneJson, phoneStep, tellPhone } from "./phone.js";
import { runStep } from "./run.js";
import { conduct, endJson, isImpossible, without, type End, type Step, type Telling } from "./step.js";
import { runJson, tellRun } from "./tell-run.js";

const fields = {
  ...shared,
  fresh: switchedOn,
  dir: absent(word("name a folder")),
  out: optional(outputFolder, "tour"),
};

type Args = Exact<typeof fields>;

const contextOf = (args: Args, parts: Parts, capabilities: Capabilities): TourContext => ({
  capabilities, parts,
  cache: args.dir === null ? join(dirname(dirname(capabilities.thisHost)), "tour") : resolve(args.dir),
  out: args.out,
  fresh: args.fresh,
  seed: args.seed ?? DEFAULTS.seed,
  stream: args.format === "json" ? () => undefined : flowing((text) => capabilities.print(text)()),
});

const STEPS = 5;

const OPENING = lines([
  "neuronlab runs language models that are larger than memory: on this machine with its own engine, and on phones that you do not have by simulation. This tour shows both; Ctrl-C ends it.",
]);

/** Where a table is asked for all is told as it comes; else only the headings are, beside the document. */
const tellingOf = (args: Args, capabilities: Capabilities): Telling => {
  let place = 0;
  const heading = (text: string): string => `${++place}/${STEPS}  ${text}`;
  return args.format === "json"
    ? { heading: (text) => capabilities.log(heading(text))(), result: () => undefined }
    : { heading: (text) => capabilities.print(`${heading(text)}\n\n`)(), result: (text) => capabilities.print(`${text}\n\n\n`)() };
};

const resultOf = <A>(end: End<A>): A | null => (end._tag === "Done" ? end.result : null);

/** As it can be typed here: npx knows this program in its own folder. */
const typedHere = ({ home, self }: Capabilities) => ({ words }: Next): string => [...(process.cwd() === home ? ["npx", "neuronlab"] : self), ...words].map(quoted).join(" ");

/** What failed decides how the program ends; what is not possible here does not. */
const exitOf = (ends: ReadonlyArray<End<unknown>>): NonNullable<Answer["exit"]> =>
  ends.reduce<NonNullable<Answer["exit"]>>((worst, end) => (end._tag === "Failed" && !isImpossible(end.error) ? (Math.max(worst, exitCode(end.error)) as typeof worst) : worst), 0);

interface Told { readonly step: Step<unknown>; readonly end: End<unknown> }

const closing = (told: ReadonlyArray<Told>, next: ReadonlyArray<readonly [does: string, command: string]>, seconds: number, out: string): string => {
  const done = told.filter(({ end }) => end._tag === "Done").length;
  return [
    lines([`${done} of ${STEPS} steps in ${seconds.toFixed(0)} s; what they wrote lies in ${out}/`]),
    "",
    "To try next:",
    ...next.flatMap(([does, command]) => ["", `  ${does}`, `    ${command}`]),
  ].join("\n");
};

const toured = (args: Args, parts: Parts): Program<Answer> => (capabilities) => async () => {
  const context = contextOf(args, parts, capabilities);
  const telling = tellingOf(args, capabilities);
  const began = capabilities.now();
  if (args.format === "table") capabilities.print(`${OPENING}\n\n\n`)();
  const told: Array<Told> = [];
  const conducted = async <A>(step: Step<A>): Promise<End<A>> => {
    const end = await conduct(context, telling, step)();
    told.push({ step: step as Step<unknown>, end });
    return end;
  };
  const interrupted = E.right<never, Answer>({ stdout: "", notes: ["interrupted: what was finished is kept, and nothing else is left"] });
  const isOver = (): boolean => told.at(-1)?.end._tag === "Interrupted";

  const machine = resultOf(await conducted({ id: "machine", heading: "Measure this machine: cores, memory, disk (15 s; kept)", work: machineStep, tell: tellMachine, json: machineJson }));
  if (isOver()) return interrupted;
  const model = resultOf(await conducted({ id: "model", heading: "A sparse model, packed to be read neuron by neuron (5 s; kept)", work: modelStep, tell: tellModel, json: modelJson }));
  if (isOver()) return interrupted;
  const run = resultOf(await conducted({
    id: "run", heading: "A run with half of the FFNs left on disk: predicted, then made (5 s)",
    work: model === null ? without("a run", "no model (step 2)") : runStep(machine?.device ?? null, model), tell: tellRun, json: runJson,
  }));
  if (isOver()) return interrupted;
  const phone = resultOf(await conducted({ id: "phone", heading: "Plan a 47B model for a phone that is not here, simulated (10 s)", work: phoneStep, tell: tellPhone, json: phoneJson }));
  const figure = resultOf(await conducted({ id: "figure", heading: "A figure of the paper with our points on it, simulated (5 s)", work: figureStep, tell: tellFigure, json: figureJson }));

  const next = nextOf({ machine, run, phone, figure }, args.out).map((one) => [one.does, typedHere(capabilities)(one)] as const);
  const seconds = (capabilities.now() - began) / 1e3;
  return E.right({
    stdout: inFormat(args.format, {
      text: closing(told, next, seconds, args.out),
      json: { schema: "neuronlab/tour@1", seconds, out: args.out, steps: told.map(({ step, end }) => endJson(step, end)), next: next.map(([does, command]) => ({ does, command })) },
    }),
    exit: exitOf(told.map(({ end }) => end)),
  });
};

export const tourProgram = (parts: Parts) => (command: Command) => (given: Words): Program<Answer> =>
  pipe(RTE.fromEither(decodeWords(command, fields)(given)), RTE.chain((args) => toured(args, parts)));
