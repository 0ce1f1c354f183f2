/**
 * A run as data, for a machine that knows nothing of the sweep: documents by their hashes, what is changed in them, the request, and the key that the
 * run is known by. Whoever opens a job decodes all of it and hashes it again: a job that is not what its key says is not run.
 */
import { E, pipe, type Either } from "../sim/base/fp.js";
import { canonical } from "../sim/base/canonical.js";
import { custom, decode, exactly, formed, list, mapped, number, oneOf, text, type Codec, type TypeOf } from "../sim/base/decode.js";
import { badInput, unsupported, type AppError } from "../sim/base/errors.js";
import { deviceCodec } from "../sim/domain/device.js";
import { modelCodec } from "../sim/domain/model.js";
import { requestCodec } from "../sim/domain/request.js";
import { systemCodec } from "../sim/domain/system.js";
import { edited } from "../sim/sweep/document.js";
import { identities, keyOf, type Digest } from "../sim/sweep/identity.js";
import { findingCodec, type Finding } from "./finding.js";
import type { RunInputs } from "./simulation.js";

const value = custom("value", (raw): Either<string, number | string> => (typeof raw === "string" || (typeof raw === "number" && Number.isFinite(raw)) ? E.right(raw) : E.left("should be a number or a text")));

/** A profile: the document of that hash, with numbers of it set. */
const profileCodec = exactly({ document: text, edits: list(exactly({ path: text, as: oneOf("value", "factor"), value })) });

export const jobCodec = exactly({
  schema: oneOf("neuronlab/job@1"),
  key: text,
  /** Hash of the code that the run is to be made with. */
  code: text,
  device: profileCodec, model: profileCodec, system: profileCodec,
  request: requestCodec,
});
export type Job = TypeOf<typeof jobCodec>;

/** A job as it is sent, and the documents that it names, by their hashes. */
export interface Parcel { readonly job: unknown; readonly key: string; readonly documents: ReadonlyMap<string, unknown> }

const PROFILES = ["device", "model", "system"] as const;

export const documentsOf = (job: Job): ReadonlyArray<string> => [...new Set(PROFILES.map((profile) => job[profile].document))];

/** What is short enough to be told of what somebody else wrote, without anything that a terminal would obey. */
export const tame = (said: string): string => {
  const line = said.replaceAll(/\p{Cc}+/gu, " ").trim();
  return line.length > 400 ? `${line.slice(0, 397)}...` : line;
};

export const readJob = decode(jobCodec, "the job");

/** Documents that are decoded already are kept: points of a sweep share them. */
const KEPT = 64;

/** Opens jobs of this code; `documents` has those that `documentsOf` names. */
export const opener = (digest: Digest, code: string) => {
  const identify = identities(digest);
  const decoded = new Map<string, Either<AppError, unknown>>();
  const profile = <A>(which: (typeof PROFILES)[number], codec: Codec<A>, job: Job, documents: ReadonlyMap<string, unknown>): Either<AppError, A> => {
    const { document, edits } = job[which];
    const key = canonical([which, document, edits]);
    const before = decoded.get(key);
    if (before !== undefined) return before as Either<AppError, A>;
    const content = documents.get(document);
    if (content === undefined || digest(canonical(content)) !== document) return E.left(badInput("the job", [{ path: which, message: `its document ${document.slice(0, 8)} ${content === undefined ? "is not there" : "is not what its hash says"}` }]));
    const read = decode(codec, `the job's ${which}`)(edited(content, edits));
    if (decoded.size >= KEPT) decoded.clear();
    decoded.set(key, read);
    return read;
  };
  return (job: Job, documents: ReadonlyMap<string, unknown>): Either<AppError, RunInputs> => {
    if (job.code !== code) return E.left(unsupported("another version", `the run is to be made with code ${job.code.slice(0, 8)}; this worker has ${code.slice(0, 8)}`));
    return pipe(
      E.Do,
      E.bind("device", () => profile("device", deviceCodec, job, documents)),
      E.bind("model", () => profile("model", modelCodec, job, documents)),
      E.bind("system", () => profile("system", systemCodec, job, documents)),
      E.map((profiles): RunInputs => ({ ...profiles, request: job.request })),
      E.chain((inputs) => {
        const key = keyOf(digest, code, identify(inputs).point, inputs.request.seed);
        return key === job.key ? E.right(inputs) : E.left(badInput("the job", [{ path: "key", message: `is ${job.key.slice(0, 8)}, but what it holds has the key ${key.slice(0, 8)}` }]));
      }),
    );
  };
};

/** What comes back: what was found out, in how many seconds; or why nobody tried. */
export type Reply = { readonly finding: Finding; readonly seconds: number } | { readonly refused: string };

const done: Codec<Reply> = mapped(exactly({ finding: findingCodec, seconds: number(0, 1e9) }), (reply): Reply => reply);
const refused: Codec<Reply> = mapped(exactly({ refused: text }), (reply): Reply => reply);

export const replyCodec: Codec<Reply> = formed((raw): Codec<Reply> => (typeof raw === "object" && raw !== null && "refused" in raw ? refused : done));
