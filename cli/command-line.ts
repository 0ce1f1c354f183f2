/**
 * The only importer of yargs. Every flag is declared as text, because yargs' own number type makes NaN of "abc" in
 * silence; unknown flags pass through to the command's decoder, which refuses them together with all other mistakes.
 */
import yargs, { type Argv } from "yargs";
import { E, type Either } from "../sim/base/fp.js";
import { badInput, unknownName, type AppError } from "../sim/base/errors.js";
import { nearest } from "../sim/base/nearest.js";
import { sharedFlags, type Command, type Words } from "./command.js";

export type Reading = { readonly _tag: "Shown"; readonly text: string } | { readonly _tag: "Chosen"; readonly command: Command; readonly words: Words };

const ABOUT = "neuronlab: phones running language models larger than their memory, simulated and explained";

const withFlags = (y: Argv, command: Command): Argv => {
  const positional = command.positional;
  if (positional !== undefined) y.positional(positional.key, { type: "string", describe: positional.help });
  for (const flag of [...command.flags, ...sharedFlags])
    y.option(flag.name, { ...(flag.short === undefined ? {} : { alias: flag.short }), type: flag.value === null ? "boolean" : "string", describe: flag.value === null ? flag.help : `${flag.value}: ${flag.help}` });
  for (const [typed, does] of command.examples) y.example(`$0 ${typed}`, does);
  return y.usage(`$0 ${command.name}${positional === undefined ? "" : ` ${positional.shown}`}\n\n${command.summary}`);
};

/** yargs' own notation; presence of a required one is the decoder's to check, with all other mistakes. */
const pattern = (command: Command): string => (command.positional === undefined ? command.name : `${command.name} [${command.positional.key}${command.positional.many ? ".." : ""}]`);

const NOT_FLAGS = ["_", "$0", "--", "help", "h", "version"];

/** yargs tells a flag that has a short form under both names. */
const shortsOf = (command: Command | null): ReadonlyArray<string> => (command?.flags ?? []).flatMap((flag) => (flag.short === undefined ? [] : [flag.short]));

const wordsOf = (argv: Readonly<Record<string, unknown>>, command: Command | null, behindSwitches: Readonly<Record<string, string>> = {}): Words => ({
  named: Object.fromEntries(Object.entries({ ...argv, ...behindSwitches }).filter(([key, value]) => ![...NOT_FLAGS, ...shortsOf(command)].includes(key) && value !== undefined && !(Array.isArray(value) && value.length === 0))),
  extra: [...(argv._ as ReadonlyArray<unknown>).slice(1), ...((argv["--"] as ReadonlyArray<unknown> | undefined) ?? [])].map(String),
});

/** Every flag here is text or a switch, so yargs' type column says nothing. */
const withoutTypes = (help: string): string => help.replaceAll(/(?:\n +| *)\[(?:string|boolean)\]$/gm, "").trimEnd();

/** yargs reads "--check=yes" as false; what stands behind a switch is kept, for the decoder to refuse. */
const switchValues = (typed: ReadonlyArray<string>, command: Command): Readonly<Record<string, string>> => {
  const end = typed.includes("--") ? typed.indexOf("--") : typed.length;
  const switches = command.flags.filter((flag) => flag.value === null);
  return Object.fromEntries(typed.slice(0, end).flatMap((word) => switches.filter((flag) => word.startsWith(`--${flag.name}=`)).map((flag) => [flag.name, word.slice(flag.name.length + 3)])));
};

/** yargs takes "-3GB" for the switches -3, -G and -B, and "-" for a word of its own; behind a flag that wants a value it is that value. */
const withNegatives = (typed: ReadonlyArray<string>, commands: ReadonlyArray<Command>): ReadonlyArray<string> => {
  const command = commands.find((one) => one.name === typed.find((given) => !given.startsWith("-")));
  const takesValue = new Set([...(command?.flags ?? []), ...sharedFlags].flatMap((flag) => (flag.value === null ? [] : [`--${flag.name}`, ...(flag.short === undefined ? [] : [`-${flag.short}`])])));
  const takesDashes = new Set((command?.flags ?? []).flatMap((flag) => (flag.dashes === true ? [`--${flag.name}`] : [])));
  const end = typed.includes("--") ? typed.indexOf("--") : typed.length;
  const joined: Array<string> = [];
  for (let i = 0; i < typed.length; i++) {
    const negative = i + 1 < end && ((takesValue.has(typed[i]) && /^-(?:\.?\d|$)/.test(typed[i + 1])) || takesDashes.has(typed[i]));
    joined.push(negative ? `${typed[i]}=${typed[++i]}` : typed[i]);
  }
  return joined;
};

export const readCommandLine = async (given: ReadonlyArray<string>, commands: ReadonlyArray<Command>, version: string): Promise<Either<AppError, Reading>> => {
  const typed = withNegatives(given, commands);
  let chosen: Command | null = null;
  const y = yargs([...typed])
    .scriptName("neuronlab")
    .locale("en")
    .usage(`${ABOUT}\n\n$0 <command> [options]`)
    .parserConfiguration({ "parse-numbers": false, "parse-positional-numbers": false, "camel-case-expansion": false, "dot-notation": false, "boolean-negation": false, "populate--": true })
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new Error(message);
    })
    .help()
    .alias("help", "h")
    .version(version)
    .wrap(110);
  for (const command of commands)
    y.command(pattern(command), command.summary, (inner) => withFlags(inner, command), () => {
      chosen = command;
    });
  y.example("$0 simulate", "one run of the paper's largest model on its first phone").example("$0 simulate --help", "what a command takes, with examples");

  let shown = "";
  let argv: Readonly<Record<string, unknown>>;
  try {
    argv = (await y.parseAsync([...typed], {}, (_error: unknown, _argv: unknown, output: string) => {
      shown = output;
    })) as Readonly<Record<string, unknown>>;
  } catch (fault) {
    return E.left(badInput("neuronlab", [{ path: "(command line)", message: `${fault instanceof Error ? fault.message : String(fault)}; see neuronlab --help` }]));
  }
  if (shown !== "") return E.right({ _tag: "Shown", text: withoutTypes(shown) });
  if (chosen !== null) return E.right({ _tag: "Chosen", command: chosen, words: wordsOf(argv, chosen, switchValues(typed, chosen)) });
  const names = commands.map((command) => command.name);
  const first = (argv._ as ReadonlyArray<string>)[0];
  if (first?.trim() === "") return E.left(badInput("neuronlab", [{ path: "(command)", message: `is empty; known: ${names.join(", ")}` }]));
  if (first !== undefined) return E.left(unknownName("command", first, names, nearest(first, names)));
  const flags = Object.keys(wordsOf(argv, null).named);
  if (flags.length > 0) return E.left(badInput("neuronlab", flags.map((flag) => ({ path: flag.length === 1 ? `-${flag}` : `--${flag}`, message: `stands before a command; write it after one of ${names.join(", ")}` }))));
  return E.right({ _tag: "Shown", text: withoutTypes(await y.getHelp()) });
};
