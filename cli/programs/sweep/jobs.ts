/** The runs of a sweep: who each is, what it needs, and what of its outcome is kept. */
import { E, type Either } from "../../../sim/base/fp.js";
import { canonical } from "../../../sim/base/canonical.js";
import type { AppError } from "../../../sim/base/errors.js";
import type { Plan } from "../../../sim/domain/plan.js";
import { encodeRequest } from "../../../sim/domain/run.js";
import { travelling } from "../../../sim/domain/request.js";
import { identities, keyOf, seedOf, type Digest } from "../../../sim/sweep/identity.js";
import type { Resolved } from "../../../sim/sweep/resolve.js";
import { DRAW } from "../../../sim/sweep/stability/draw.js";
import { drawnResolver, drawnWritten } from "../../../sim/sweep/stability/drawn.js";
import type { Place } from "../../../sim/sweep/schedule.js";
import type { Wanted } from "../../executor.js";
import { findingOf, type Finding } from "../../finding.js";
import type { Parcel } from "../../job.js";
import type { RunInputs } from "../../program.js";
import type { Line, StoredDocument, StoredRun } from "../../store.js";
import type { Declared } from "./load.js";

export interface Jobs<W extends { readonly of: Place } = Wanted<Place>, F = Finding> {
  readonly keyOf: (place: Place) => string;
  readonly wantedAt: (place: Place) => Either<AppError, W>;
  /** The finding of a place that cannot even be put into a request. */
  readonly failed: (error: AppError) => F;
  /** What is kept of a finding, and the documents that it refers to. */
  readonly stored: (place: Place, finding: F, seconds: number) => { readonly run: StoredRun; readonly documents: ReadonlyArray<StoredDocument> };
}

/** Points beyond these are resolved anew whenever they are asked for: a resolved point holds its plan, some kilobytes. */
const KEPT_RESOLVED = 20_000;

export interface Maker { readonly digest: Digest; readonly code: string; readonly manifest: string; readonly now: () => Date }

/** What a point is: that of its inputs, or, where there are none because it cannot be resolved, that of what was asked. */
interface Known { readonly point: string; readonly device: string; readonly model: string; readonly system: string; readonly seed: number | null }

const nameOf = (plan: unknown): string => {
  const { model, device } = plan as Plan;
  return `${model} on ${device}`;
};

export const jobsOf = ({ declaration, shelf, points }: Declared, { digest, code, manifest, now }: Maker): Jobs => {
  const resolved = drawnResolver(declaration, shelf);
  const kept = new Map<number, Either<AppError, Resolved>>();
  const resolve = (point: number): Either<AppError, Resolved> => {
    const before = kept.get(point);
    if (before !== undefined) return before;
    const run = resolved(points.kept[point]!);
    if (kept.size < KEPT_RESOLVED) kept.set(point, run);
    return run;
  };
  const identify = identities(digest);
  const fixed = declaration.axes.flatMap((dimension) => (dimension._tag === "Single" ? [dimension.axis] : dimension.axes)).some((axis) => axis.over.some(({ word }) => word === "seed"));
  const whoIs = points.kept.map((at, point): Known => {
    const run = resolve(point);
    if (E.isLeft(run)) return { point: digest(canonical({ base: declaration.base, at })), device: "", model: "", system: "", seed: null };
    return { ...identify(run.right), seed: fixed ? run.right.request.seed : null };
  });
  /** Points of one draw have the same seed, so that what differs between them is not their luck. */
  const named = (point: number): string => (declaration.uncertain === null ? whoIs[point]!.point : `draw/${points.kept[point]![DRAW]}`);
  const seedAt = ({ point, repetition }: Place): number => whoIs[point]!.seed ?? seedOf(digest, declaration.seed, named(point), repetition);
  const seeded = (run: Resolved, place: Place): RunInputs => ({ ...run, request: { ...run.request, seed: seedAt(place) } });
  const keyAt = (place: Place): string => keyOf(digest, code, whoIs[place.point]!.point, seedAt(place));
  const inputsOf = (place: Place): Either<AppError, RunInputs> => {
    const run = resolve(place.point);
    return E.isLeft(run) ? run : E.right(seeded(run.right, place));
  };
  const written = drawnWritten(declaration, shelf);
  const hashed = new Map<unknown, string>();
  /** Documents are few, and one object each. */
  const hashOf = (document: unknown): string => {
    const hash = hashed.get(document) ?? digest(canonical(document));
    hashed.set(document, hash);
    return hash;
  };
  const parcelOf = (place: Place, { request }: RunInputs): Parcel => {
    const { device, model, system } = written(points.kept[place.point]!);
    const sent = ({ document, edits }: typeof device): object => ({ document: hashOf(document), edits });
    const key = keyAt(place);
    return {
      key, documents: new Map([device, model, system].map(({ document }) => [hashOf(document), document])),
      job: { schema: "neuronlab/job@1", key, code, device: sent(device), model: sent(model), system: sent(system), request: travelling(request) },
    };
  };
  return {
    keyOf: keyAt,
    wantedAt: (place) => {
      const inputs = inputsOf(place);
      return E.isLeft(inputs) ? inputs : E.right({ of: place, inputs: inputs.right, parcel: () => parcelOf(place, inputs.right) });
    },
    failed: (error) => findingOf(E.left(error)),
    stored: (place, { plan, ...finding }, seconds) => {
      const known = whoIs[place.point]!;
      const inputs = inputsOf(place);
      const profiles: ReadonlyArray<StoredDocument> = E.isLeft(inputs) ? [] : (["device", "model", "system"] as const).map((kind) => ({ hash: known[kind], kind, name: inputs.right[kind].name, content: inputs.right[kind] }));
      const planned: ReadonlyArray<StoredDocument> = plan === null ? [] : [{ hash: digest(canonical(plan)), kind: "plan", name: nameOf(plan), content: plan }];
      return {
        run: {
          ...finding,
          key: keyAt(place), manifest, device: known.device, model: known.model, system: known.system, seconds: Number(seconds.toFixed(6)), finishedAt: now().toISOString(),
          request: E.isLeft(inputs) ? { coordinates: points.kept[place.point] } : encodeRequest(inputs.right.request),
          plan: planned[0]?.hash ?? null,
        },
        documents: [...profiles, ...planned],
      };
    },
  };
};

/** The lines of one finished run; a document is written once a journal. */
export const linesOf = (written: Set<string>, sweep: string, coordinates: Declared["points"]["kept"][number], place: Place, { run, documents }: { readonly run: StoredRun; readonly documents: ReadonlyArray<StoredDocument> }): ReadonlyArray<Line> => {
  const fresh = documents.filter(({ hash }) => !written.has(hash));
  for (const { hash } of fresh) written.add(hash);
  return [...fresh.map((document): Line => ({ line: "document", ...document })), { line: "run", ...run }, { line: "member", sweep, ...place, coordinates, run: run.key }];
};
