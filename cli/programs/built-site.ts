/** Where the built site lies, once it is built. */
import { join } from "node:path";
import { TE, pipe } from "../../sim/base/fp.js";
import { unsupported } from "../../sim/base/errors.js";
import type { Program } from "../program.js";

const SITE = ["dist", "site"] as const;

/** Its start page is there once it is built. */
export const builtSite = (what: string): Program<string> => (capabilities) => {
  const site = join(capabilities.home, ...SITE);
  return pipe(
    capabilities.readStored(join(site, "index.html")),
    TE.chain((page) => (page === null ? TE.left(unsupported(what, "the site is not built here; npm run site builds it")) : TE.right(site))),
  );
};
