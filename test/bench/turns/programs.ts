/** The two programs that take turns, built where they are not. */
import { spawn, spawnSync } from "node:child_process";
import { E, type Either } from "../../../sim/base/fp.js";

/** Why there is no program; `missing` where a tool is, which is no failure. */
export interface Absent { readonly missing: boolean; readonly reason: string }

export interface Rival { readonly program: string; readonly version: string }

const NOT_BUILT = 3;

/** The engine's bench, by Cargo in the folder `engine`. */
export const builtOurs = (engine: string): Either<Absent, string> => {
  const present = spawnSync("cargo", ["--version"], { stdio: "ignore" });
  if (present.error !== undefined || present.status !== 0) return E.left({ missing: true, reason: "needs Rust (https://rustup.rs)" });
  const built = spawnSync("cargo", ["build", "--release", "--locked", "--package", "neuronlab-neuron", "--example", "bench", "--message-format", "json-render-diagnostics"], { cwd: engine, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const program = built.status === 0 ? executableIn(built.stdout) : null;
  return program === null ? E.left({ missing: false, reason: "cargo could not build the engine's bench" }) : E.right(program);
};

/** Where Cargo says that it has put the bench; null where it does not. */
export const executableIn = (printed: string): string | null => {
  const messages = printed.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as { readonly reason: string; readonly executable?: string | null; readonly target?: { readonly name: string; readonly kind: ReadonlyArray<string> } });
  return messages.find(({ reason, target }) => reason === "compiler-artifact" && target?.name === "bench" && target.kind.includes("example"))?.executable ?? null;
};

/** `script` is engine/rivals/llama.cpp/build.mjs. What it says goes to the reader too: building llama.cpp takes minutes, once. */
export const builtTheirs = async (script: string): Promise<Either<Absent, Rival>> => {
  const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "pipe"] });
  let [printed, said] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    process.stderr.write(text);
  });
  const exit = await new Promise((done) => child.on("close", done));
  if (exit !== 0) return E.left({ missing: exit === NOT_BUILT, reason: said.trim().split("\n").at(-1)! });
  const manifest = JSON.parse(printed) as { readonly version: string; readonly default: Readonly<Record<string, string>> };
  const program = manifest.default.product;
  return program === undefined ? E.left({ missing: false, reason: `${script} names no program product` }) : E.right({ program, version: manifest.version });
};
