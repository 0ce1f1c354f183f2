/**
 * `npm run shown`: runs every command that the texts show, as a reader would type it, and says how long each took. A command that is
 * neither run nor told apart (apart.ts), or that names a flag which is not there, is a failure. Words after it choose texts: `npm run shown -- docs/site.md`;
 * `--part K/N` adds the K-th part of all others, which CI takes in turn, commit by commit.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { commands } from "../../../cli/commands/index.js";
import { APART } from "./apart.js";
import { cacheIn, copyCheckout, folderLike, programsIn } from "./folder.js";
import { ALSO, MADE, placeFixtures } from "./fixtures.js";
import { runner, type Ended } from "./run.js";
import { plansOf, type Plan } from "./texts.js";

const root = resolve(import.meta.dirname, "../../..");
const began = performance.now();
const scratch = mkdtempSync(join(tmpdir(), "neuronlab-shown-"));
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

let failures = 0;
let ran = 0;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const fail = (where: string, what: string, said = ""): void => {
  failures += 1;
  say(`FAIL  ${where}: ${what}${said === "" ? "" : `\n${said.trim().split("\n").slice(-30).map((line) => `        ${line}`).join("\n")}`}`);
};

const { plans, mistakes } = plansOf(root, commands, APART);
for (const { where, what } of mistakes) fail(where, what);

/** The texts that the words after the command choose: all without any. */
const chosenBy = (words: ReadonlyArray<string>): ReadonlySet<string> => {
  if (words.length === 0) return new Set(plans.map(({ path }) => path));
  const at = words.indexOf("--part");
  const named = new Set(words.filter((_, i) => at < 0 || (i !== at && i !== at + 1)));
  for (const name of named) if (!plans.some(({ path }) => path === name)) fail(name, `is no text with commands; ${plans.map(({ path }) => path).join(", ")}`);
  const part = /^(\d+)\/(\d+)$/.exec(words[at + 1] ?? "");
  if (at < 0) return named;
  if (part === null) fail("--part", `is ${words[at + 1] ?? "missing"}; K/N, such as 2/3`);
  const [k, n] = [Number(part?.[1]), Number(part?.[2])];
  return new Set([...named, ...plans.map(({ path }) => path).filter((path) => !named.has(path)).sort().filter((_, i) => i % n === k % n)]);
};
const chosen = chosenBy(process.argv.slice(2));

const checkout = join(scratch, "checkout");
copyCheckout(root, checkout);
const programs = programsIn(checkout, join(scratch, "programs"));
const place = {
  environment: { PATH: `${programs}:${process.env.PATH ?? ""}`, HOME: join(scratch, "home"), XDG_CACHE_HOME: cacheIn(join(scratch, "cache")), NO_COLOR: "1", CI: "true", LANG: "C.UTF-8" },
  // In this order: where all of this lies is below /tmp itself.
  paths: [["/tmp/", `${join(scratch, "temporary")}/`], ["/mnt/models", join(scratch, "disk")]] as const,
  kept: join(scratch, "kept"),
};
for (const folder of ["home", "disk", "temporary", "kept"]) mkdirSync(join(scratch, folder));
const run = runner(place);
const engine = existsSync(join(root, "engine/node")) && (await run(checkout, "ls engine/node/*.node")).exit === 0;
const rival = (await run(checkout, "node engine/rivals/llama.cpp/build.mjs --check")).exit === 0;
const limits = /"v[12]"/.test((await run(checkout, "node engine/rivals/llama.cpp/under-limit.mjs --detect")).said);

/** Why this machine cannot run it; null where it can. */
const lacks = (line: string): string | null => {
  if (!engine && /neuronlab (?:synth|pack|train-predictor|generate|bench|perplexity|record|replay|probe|validate host)\b/.test(line)) return "the engine is not built here (needs Rust)";
  if (/neuronlab view/.test(line) && !existsSync(join(root, "dist/site/phone.html"))) return "the pages are not built here (npm run site)";
  if (/--vs llama\.cpp/.test(line) && !rival) return "llama.cpp is not built here (node engine/rivals/llama.cpp/build.mjs)";
  if (/--vs llama\.cpp.*--memory/.test(line) && !limits) return "this system cannot set a limit of memory";
  const data = /\.\.\/shared\/\S+/.exec(line)?.[0];
  return data !== undefined && !existsSync(join(root, data)) && !existsSync(join("/work", data.slice(3))) ? `${data} is not here; tests use recordings made up in the same form` : null;
};

const tell = (ended: Ended, where: string, line: string, expected: number, note = ""): void => {
  ran += ended.again ? 0 : 1;
  if (ended.exit !== expected) fail(where, `exits ${ended.exit === null ? "by a signal" : ended.exit}, expected ${expected}: ${line}`, ended.said);
  else say(`ok    ${ended.again ? "before" : `${ended.seconds.toFixed(1).padStart(5)} s`}  ${where}  ${line}${note}`);
};

// What texts speak of and do not make.
const fixtures = join(scratch, "fixtures");
folderLike(checkout, [], fixtures);
placeFixtures(root, fixtures);
if (engine) for (const line of MADE) tell(await run(fixtures, line), "fixtures", line, 0);
for (const [made, name] of ALSO) if (existsSync(join(fixtures, made))) cpSync(join(fixtures, made), join(fixtures, name));
if (engine) tell(await run(fixtures, "neuronlab probe --quick"), "fixtures", "neuronlab probe --quick", 0);

const playText = async (plan: Plan, serial: number): Promise<void> => {
  const folder = join(scratch, `text-${serial}`);
  folderLike(checkout, plan.fixtures(fixtures), folder);
  for (const { shown, line, note } of plan.runs) {
    const missing = lacks(line);
    if (missing !== null) say(`      not run: ${missing}: ${shown.where} ${line}`);
    else tell(await run(folder, [...shown.before, line].join("\n").replaceAll("../shared/", existsSync(join(root, "../shared")) ? `${resolve(root, "..")}/shared/` : "/work/shared/")), shown.where, line, shown.exit, note);
  }
  rmSync(folder, { recursive: true, force: true });
};

const queue = plans.filter(({ path }) => chosen.has(path)).map((plan, serial) => ({ plan, serial }));
const lane = async (): Promise<void> => {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) await playText(next.plan, next.serial);
};
await Promise.all([lane(), lane()]);
say(`${ran} commands run, ${plans.reduce((sum, { forms }) => sum + forms, 0)} forms looked at, ${plans.reduce((sum, { apart }) => sum + apart, 0)} told apart, ${failures} ${failures === 1 ? "failure" : "failures"}; ${((performance.now() - began) / 1e3).toFixed(0)} s`);
process.exitCode = failures === 0 ? 0 : 1;
