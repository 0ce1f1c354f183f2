/** A sweep over runs of the engine made ready: the engine there, files found and known by what they hold, GGUF files packed where that is asked for. */
import { basename, dirname, join } from "node:path";
import { E, TE, pipe, type TaskEither } from "../../../../sim/base/fp.js";
import { canonical } from "../../../../sim/base/canonical.js";
import { fault, type AppError } from "../../../../sim/base/errors.js";
import { loadDevice } from "../../load.js";
import type { Capabilities, Program } from "../../../program.js";
import type { Declared } from "../load.js";
import type { Way } from "../make.js";
import { engineJobs, type EngineOutcome, type EnginePoint, type EngineWanted } from "./jobs.js";
import { pointArgs, pointWords, type PointWords } from "./points.js";
import { runInTurn } from "./run.js";

export interface EngineWay extends Way<EngineWanted, EngineOutcome> {
  /** By point, what was said and nothing else. */
  readonly words: ReadonlyArray<PointWords>;
}

const cacheOf = ({ thisHost }: Capabilities): string => join(dirname(dirname(thisHost)), "sweeps");

const MEGABYTE = 1e6;

/** The packed file of a GGUF file, made once for what it holds. */
const packed = (capabilities: Capabilities, file: string, hash: string): TaskEither<AppError, string> => {
  const name = basename(file).replace(/\.gguf$/, "");
  const [out, stamp] = [".flash", ".json"].map((ending) => join(cacheOf(capabilities), `${name}-${hash.slice(0, 12)}${ending}`)) as [string, string];
  const make = capabilities.interruptible((signal) => {
    let gauge: ReturnType<typeof capabilities.gauge> | null = null;
    const onStep = ({ done, total }: { readonly done: number; readonly total: number }): void => {
      gauge ??= capabilities.gauge(Math.ceil(total / MEGABYTE), `MB of ${name} packed`);
      gauge.at(Math.floor(done / MEGABYTE));
    };
    const task = capabilities.engine.pack({ model: file, out, down: "auto", group: null, arrangement: "bundles", threads: null }, { onStep, signal });
    return async () => {
      const ended = await task();
      gauge?.end();
      return ended;
    };
  });
  return pipe(
    capabilities.readStored(stamp),
    TE.chain((there) => (there === hash
      ? TE.right(out)
      : pipe(
          // The first file that is written makes the folder; the stamp is written last, when the packed file is whole.
          capabilities.write([{ path: stamp, text: "" }]),
          TE.chain(() => make),
          TE.chain((report) => (report === null ? TE.left(fault("interrupted")) : capabilities.write([{ path: stamp, text: hash }]))),
          TE.map(() => out),
        ))),
  );
};

/** Each distinct one once, one after the other. */
const eachOnce = <A>(all: ReadonlyArray<string>, of: (one: string) => TaskEither<AppError, A>): TaskEither<AppError, ReadonlyMap<string, A>> =>
  pipe([...new Set(all)], TE.traverseSeqArray((one) => pipe(of(one), TE.map((found) => [one, found] as const))), TE.map((found) => new Map(found)));

const FILES = ["model", "plan", "predictor"] as const;
const named = (words: ReadonlyArray<PointWords>, word: (typeof FILES)[number] | "shape-flash"): ReadonlyArray<string> => words.flatMap((one) => (one[word] === undefined ? [] : [String(one[word])]));

export const engineWay = ({ declaration, points }: Declared): Program<EngineWay> => (capabilities) => {
  const { measuring, machine, hostName, digest } = capabilities;
  const isPacked = (file: string): boolean => declaration.engine!.pack && file.endsWith(".gguf");
  return pipe(
    TE.Do,
    TE.bind("shipped", () => capabilities.shippedModels),
    TE.let("said", ({ shipped }) => points.kept.map((at) => pointWords(declaration, at, shipped[0] ?? null))),
    TE.bind("sources", ({ said }) => eachOnce(FILES.flatMap((word) => named(said, word)), measuring.contentHash)),
    TE.bind("devices", ({ said }) => eachOnce(named(said, "shape-flash"), (name) => pipe(loadDevice(name)(capabilities), TE.map((device) => digest(canonical(device)))))),
    TE.bind("native", () => measuring.nativeModule),
    TE.bind("models", ({ said, sources }) => eachOnce(named(said, "model"), (file) => (isPacked(file) ? packed(capabilities, file, sources.get(file)!) : TE.right(file)))),
    TE.bind("hashes", ({ models }) => eachOnce([...models.values()], measuring.contentHash)),
    TE.chainEitherK(({ said, sources, devices, native, models, hashes }) => pipe(
      said,
      E.traverseArray((words) => {
        const file = models.get(String(words.model))!;
        const held = (word: (typeof FILES)[number]): string | null => (words[word] === undefined ? null : sources.get(String(words[word]))!);
        const run = { ...words, model: file };
        return pipe(pointArgs(run), E.map((args): EnginePoint => ({
          words: run,
          identity: { args: { ...args, format: null, model: hashes.get(file)!, plan: held("plan"), predictor: held("predictor"), "shape-flash": words["shape-flash"] === undefined ? null : devices.get(String(words["shape-flash"]))! } },
          model: { name: basename(file), hash: hashes.get(file)! },
        })));
      }),
      E.map((all): EngineWay => ({
        words: said,
        jobs: engineJobs({ points: all, machine: { name: hostName, cpu: machine.cpu, cores: machine.cores, memoryBytes: machine.memoryBytes, kernel: machine.kernel }, native }),
        run: runInTurn(capabilities, join(cacheOf(capabilities), "run.json")),
        order: "rounds",
        code: pipe(capabilities.code, TE.map((code) => ({ ...code, hash: native.hash }))),
        measuring: { native: native.hash, load: measuring.load() },
      })),
    )),
  );
};
