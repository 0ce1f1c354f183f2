/** Serves the built site on loopback until it is interrupted; the user's results lie over those that came along, file by file. */
import { join } from "node:path";
import { RTE, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import { unsupported, type AppError } from "../../sim/base/errors.js";
import { absent, decodeWords, outputFolder, shared, wholeNumber } from "../args.js";
import { inFormat, type Answer, type Mount, type Program } from "../program.js";
import type { Command, Words } from "../command.js";

const SITE = ["dist", "site"] as const;

const fields = { ...shared, port: absent(wholeNumber(1, 65535)), results: absent(outputFolder) };

/** Its start page is there once it is built. */
const built: Program<string> = (capabilities) => {
  const site = join(capabilities.home, ...SITE);
  return pipe(
    capabilities.readStored(join(site, "index.html")),
    TE.chain((page) => (page === null ? TE.left(unsupported("view", "the site is not built here; npm run site builds it")) : TE.right(site))),
  );
};

/** Without a word, results/ of this folder, if there is one. */
const mountsOf = (site: string, results: string | null): ReadonlyArray<Mount> => [
  { path: "/results/", folders: [{ name: "yours", folder: results ?? "results", ...(results === null ? {} : { must: "--results" }) }, { name: "site", folder: join(site, "results") }] },
  { path: "/", folders: [{ name: "site", folder: site }] },
];

export const viewProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, fields)(given)),
    RTE.bindTo("args"),
    RTE.bind("site", () => built),
    RTE.chain(({ args, site }) => (capabilities) =>
      capabilities.interruptible((signal) =>
        pipe(
          capabilities.serve(mountsOf(site, args.results), args.port ?? 0),
          TE.chainFirstIOK(({ url }) => capabilities.print(`${inFormat(args.format, { text: `${url}   (Ctrl-C ends it)`, json: { schema: "neuronlab/view@1", url } })}\n`)),
          TE.chain(({ until }): TaskEither<AppError, void> => until(signal)),
          TE.map((): Answer => ({ stdout: "" })),
        )),
    ),
  );
