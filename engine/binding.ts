/** The native module: where it lies, how it is loaded (once, when it is first needed), and what crosses the border. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { E, type Either } from "../sim/base/fp.js";
import { unsupported, type AppError } from "../sim/base/errors.js";

/** Of what crosses the border; the module says its own. */
const VERSION = 7;

export interface Part { readonly part: string; readonly bytes: number }

export interface Failure {
  readonly kind: "input" | "doesNotFit" | "unsupported" | "disk" | "cancelled" | "fault";
  /** The argument that is wrong, where it is one. */
  readonly argument?: string;
  readonly message: string;
  readonly needed?: number;
  readonly allowed?: number;
  readonly parts: ReadonlyArray<Part>;
}

export interface Outcome<Report> { readonly failure?: Failure; readonly report?: Report }

export interface Cancel { readonly cancel: () => void }

/** What the module's functions take and give is documented in engine/node/src, and by the types of engine/index.ts. */
export interface Binding {
  readonly about: () => { readonly version: number; readonly kernels: string };
  readonly Cancel: new () => Cancel;
  readonly pack: (request: unknown, cancel: Cancel, steps: (step: unknown) => void) => Promise<Outcome<unknown>>;
  readonly trainPredictor: (request: unknown, cancel: Cancel, steps: (step: unknown) => void) => Promise<Outcome<unknown>>;
  readonly generate: (request: unknown, cancel: Cancel, steps: (step: unknown) => void) => Promise<Outcome<unknown>>;
  readonly bench: (request: unknown, cancel: Cancel, steps: (step: unknown) => void) => Promise<Outcome<unknown>>;
  readonly perplexity: (request: unknown, cancel: Cancel, steps: (step: unknown) => void) => Promise<Outcome<unknown>>;
  readonly record: (request: unknown, cancel: Cancel, steps: (step: unknown) => void) => Promise<Outcome<unknown>>;
  readonly replay: (request: unknown, cancel: Cancel, steps: (step: unknown) => void) => Promise<Outcome<unknown>>;
  readonly probe: (request: unknown, cancel: Cancel, steps: (step: unknown) => void) => Promise<Outcome<unknown>>;
  readonly synth: (request: unknown, cancel: Cancel, steps: (step: unknown) => void) => Promise<Outcome<unknown>>;
  readonly verify: (request: unknown, cancel: Cancel, steps: (step: unknown) => void) => Promise<Outcome<unknown>>;
}

/** The folder of package.json, from engine/ and from dist/engine/. */
const packageFolder = (): string => {
  const here = dirname(fileURLToPath(import.meta.url));
  const above = join(here, "..");
  return existsSync(join(above, "package.json")) ? above : join(above, "..");
};

/** The built module, or the one that NEURONLAB_ENGINE names instead. */
export const bindingPath = (): string => {
  const named = process.env.NEURONLAB_ENGINE;
  return named !== undefined && named !== "" ? named : join(packageFolder(), "engine", "node", `neuronlab-engine.${process.platform}-${process.arch}.node`);
};

const REMEDY = "install Rust (https://rustup.rs) and run npm run build:engine";

let loaded: Binding | null = null;

/** What is absent or of no use here is no fault of the input: the honest answer is no. */
export const loadBinding = (): Either<AppError, Binding> => {
  if (loaded !== null) return E.right(loaded);
  const path = bindingPath();
  if (!existsSync(path)) return E.left(unsupported("the native engine is not built", `there is no ${path}; ${REMEDY}`));
  try {
    const module = { exports: {} as Binding };
    process.dlopen(module, path);
    const { version } = module.exports.about();
    if (version !== VERSION) return E.left(unsupported("the native engine is another version's", `${path} has version ${version}, wanted ${VERSION}; ${REMEDY}`));
    loaded = module.exports;
    return E.right(loaded);
  } catch (fault) {
    return E.left(unsupported("the native engine cannot be loaded", `${path}: ${fault instanceof Error ? fault.message : String(fault)}; ${REMEDY}`));
  }
};

/** Where the module lies that calls go to; what keeps it from being loaded otherwise. */
export const nativePath = (): Either<AppError, string> => {
  const binding = loadBinding();
  return E.isLeft(binding) ? binding : E.right(bindingPath());
};
