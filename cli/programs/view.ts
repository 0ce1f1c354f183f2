/** Serves the built site on loopback until it is interrupted; the user's results lie over those that came along, file by file. */
import { join } from "node:path";
import { RTE, TE, pipe, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import { absent, decodeWords, outputFile, outputFolder, shared, wholeNumber } from "../args.js";
import { inFormat, type Answer, type Mount, type Program } from "../program.js";
import type { Command, Words } from "../command.js";
import { builtSite } from "./built-site.js";
import { servedSweeps } from "./results/served.js";
import { DEFAULT_STORE } from "./default-store.js";

const fields = { ...shared, port: absent(wholeNumber(1, 65535)), results: absent(outputFolder), store: absent(outputFile) };

/** Without a word, results/ of this folder, if there is one. */
const mountsOf = (site: string, results: string | null): ReadonlyArray<Mount> => [
  { path: "/results/", folders: [{ name: "yours", folder: results ?? "results", ...(results === null ? {} : { must: "--results" }) }, { name: "site", folder: join(site, "results") }] },
  { path: "/", folders: [{ name: "site", folder: site }] },
];

export const viewProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, fields)(given)),
    RTE.bindTo("args"),
    RTE.bind("site", () => builtSite("view")),
    RTE.chain(({ args, site }) => (capabilities) =>
      capabilities.interruptible((signal) =>
        pipe(
          capabilities.serve([servedSweeps(capabilities.store(args.store ?? DEFAULT_STORE)), ...mountsOf(site, args.results)], args.port ?? 0, "--port"),
          TE.chainFirstIOK(({ url }) => capabilities.print(`${inFormat(args.format, { text: `${url}   (Ctrl-C ends it)`, json: { schema: "neuronlab/view@1", url } })}\n`)),
          TE.chain(({ until }): TaskEither<AppError, void> => until(signal)),
          TE.map((): Answer => ({ stdout: "" })),
        )),
    ),
  );
