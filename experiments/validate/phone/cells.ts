/**
 * Runs of a folder as cells: what was set, what disturbed them, and which of them constants may be fitted to. The rules look at what was set and at the
 * state of the phone, never at an error.
 */
import { E, type Either } from "../../../sim/base/fp.js";
import { badInput, type AppError, type Mistake } from "../../../sim/base/errors.js";
import { storedLayersOf, type ModelSpec } from "../../../sim/domain/model.js";
import { runOf, type PhoneState, type Recordings, type RouteFile, type TokenFile } from "./recorded.js";

/** `contaminated`: short of memory, so that the system took pages away. `traced`: every routing was written down meanwhile. Both are told and counted apart. */
export type PhoneRole = "calibration" | "check" | "contaminated" | "traced";

export interface PhoneSetting {
  readonly model: string;
  readonly expertsUsed: number;
  /** Whole experts read by lanes; else the file is mapped into memory. */
  readonly streams: boolean;
  readonly cacheMib: number;
  readonly lanes: number;
  readonly overlaps: boolean;
  /** Where this is known from. */
  readonly from: string;
}

export interface PhoneCell {
  readonly id: string;
  readonly role: PhoneRole;
  /** What the role follows from. */
  readonly because: string;
  readonly setting: PhoneSetting;
  readonly tokens: TokenFile;
  readonly state: PhoneState | null;
  readonly route: RouteFile | null;
}

/** Tokens of a run that are passed over, as its source says. */
export const WARM_UP = 32;

const GEMMA = { model: "gemma-4-26b-a4b", expertsUsed: 8, streams: true } as const;

/** Runs whose files have no header lines: what their names and their source's description say. */
const NAMED: Readonly<Record<string, PhoneSetting>> = {
  "2026-07-12/gemma_mmap": { ...GEMMA, streams: false, cacheMib: 0, lanes: 1, overlaps: false, from: "its name and the source's description: no streaming" },
  "2026-07-12/gemma_stream": { ...GEMMA, cacheMib: 0, lanes: 4, overlaps: false, from: "its name and the source's description" },
  "2026-07-12/gemma_stream_ov": { ...GEMMA, cacheMib: 0, lanes: 4, overlaps: true, from: "its name and the source's description" },
  "2026-07-12/gemma_c2000_l2": { ...GEMMA, cacheMib: 2000, lanes: 2, overlaps: false, from: "its name" },
  "2026-07-12/gemma_c2000_l4": { ...GEMMA, cacheMib: 2000, lanes: 4, overlaps: false, from: "its name" },
  "2026-07-12/gemma_c2000_l4_ov": { ...GEMMA, cacheMib: 2000, lanes: 4, overlaps: true, from: "its name" },
  "2026-07-13/gemma_auto_ov": { ...GEMMA, cacheMib: 4610, lanes: 4, overlaps: true, from: "its log (budget 4610 MiB) and its name; lanes as in the other runs" },
  "2026-07-13/gemma_autocap_ov": { ...GEMMA, cacheMib: 2000, lanes: 4, overlaps: true, from: "its log (budget 2000 MiB) and its name; lanes as in the other runs" },
  "2026-07-13/gemma_base_ov": { ...GEMMA, cacheMib: 2000, lanes: 4, overlaps: true, from: "its log (resident 1996.4 MiB) and its name; lanes as in the other runs" },
  "2026-07-13/gemma_sg_ov": { ...GEMMA, cacheMib: 2000, lanes: 4, overlaps: true, from: "its log (resident 1996.4 MiB; the guessing of experts switched itself off) and its name; lanes as in the other runs" },
  "2026-07-15-route-trace/gemma": { ...GEMMA, expertsUsed: 6, cacheMib: 4000, lanes: 4, overlaps: true, from: "the source's description and the trace's header lines; lanes as in the other runs" },
  "2026-07-15-route-trace/gptoss": { model: "gpt-oss-120b", expertsUsed: 2, streams: true, cacheMib: 3000, lanes: 4, overlaps: true, from: "the source's description and the trace's header lines; lanes as in the other runs" },
};

/** The engine's names of architectures, and the models here that have them. */
const MODELS: Readonly<Record<string, string>> = { gemma4: "gemma-4-26b-a4b", "gpt-oss": "gpt-oss-120b" };

/** Models that a validation may name. */
export const PHONE_MODELS: ReadonlyArray<string> = [...new Set(Object.values(MODELS))];

/** Less than this available at any time of a run, or so many major faults a token: the system was taking pages away. */
export const LEAST_AVAILABLE = 2e9;
export const MOST_FAULTS = 500;

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

export const measuredTokens = ({ tokens }: TokenFile): TokenFile["tokens"] => tokens.slice(WARM_UP);

const roleOf = (setting: PhoneSetting, tokens: TokenFile, state: PhoneState | null, route: RouteFile | null): readonly [PhoneRole, string] => {
  if (route !== null) return ["traced", "its routing was written down meanwhile, which slows a run"];
  const faults = measuredTokens(tokens).flatMap(({ majorFaults }) => (majorFaults === null ? [] : [majorFaults]));
  if (faults.length > 0 && mean(faults) >= MOST_FAULTS) return ["contaminated", `${Math.round(mean(faults))} major page faults a token`];
  if (setting.streams && state !== null && state.leastAvailable < LEAST_AVAILABLE) return ["contaminated", `only ${(state.leastAvailable / 1e9).toFixed(2)} GB of memory were available at one time`];
  if (setting.streams && !setting.overlaps) return ["calibration", "serial: computing, reading and making room each stand alone in it"];
  return ["check", setting.streams ? "overlapped" : "mapped into memory"];
};

const settingOf = (tokens: TokenFile): Either<Mistake, PhoneSetting> => {
  const { header, path } = tokens;
  if (header === null) {
    const named = Object.entries(NAMED).find(([name]) => runOf(path) === name || runOf(path).endsWith(`/${name}`));
    return named === undefined ? E.left({ path, message: `has no header lines (# bmoe_metrics v1), and its name is none whose setting is known; known: ${Object.keys(NAMED).join(", ")}` }) : E.right(named[1]);
  }
  const model = MODELS[header.architecture];
  if (model === undefined) return E.left({ path: `${path}, line 2.arch`, message: `no model here has the architecture ${header.architecture}; known: ${Object.keys(MODELS).join(", ")}` });
  return E.right({ model, expertsUsed: header.expertsUsed, streams: header.streams, cacheMib: header.cacheMib, lanes: header.lanes, overlaps: header.overlaps, from: "its header lines" });
};

/** Files that speak of another model than the one here by that name. */
const strangeShapes = (models: ReadonlyMap<string, ModelSpec>, { setting, tokens, route }: Pick<PhoneCell, "setting" | "tokens" | "route">): ReadonlyArray<Mistake> => {
  const model = models.get(setting.model)!;
  const { header } = tokens;
  const shapes = (path: string, layers: number, experts: number): ReadonlyArray<Mistake> =>
    layers === model.layers && experts === model.experts.count ? [] : [{ path, message: `is of ${layers} layers of ${experts} experts; ${model.name} has ${model.layers} of ${model.experts.count}` }];
  const stored = storedLayersOf(model);
  const differing = route === null ? [] : stored.flatMap(({ expertBytes, denseBytes }, layer) => (expertBytes === route.expertBytes[layer] && denseBytes === route.denseBytes[layer] ? [] : [layer]));
  return [
    ...(header === null ? [] : shapes(`${tokens.path}, line 2`, header.layers, header.experts)),
    ...(route === null ? [] : shapes(`${route.path}, line 2`, route.routing.layers, route.routing.experts)),
    ...(differing.length === 0 ? [] : [{ path: route!.path, message: `has other sizes than ${model.name} in layers ${differing.join(", ")}` }]),
    ...(route === null || route.routing.active === setting.expertsUsed ? [] : [{ path: route.path, message: `has ${route.routing.active} experts a token, and its run ${setting.expertsUsed}` }]),
    ...(tokens.tokens.length > WARM_UP ? [] : [{ path: tokens.path, message: `has ${tokens.tokens.length} tokens; the first ${WARM_UP} are warm-up, so nothing is left` }]),
  ];
};

export const cellsOf = (where: string, { tokens, states, routes }: Recordings, models: ReadonlyMap<string, ModelSpec>): Either<AppError, ReadonlyArray<PhoneCell>> => {
  const settings = tokens.map((file) => ({ file, setting: settingOf(file) }));
  const unknown = settings.flatMap(({ setting }) => (E.isLeft(setting) ? [setting.left] : []));
  const cells = settings.flatMap(({ file, setting }): ReadonlyArray<PhoneCell> => {
    if (E.isLeft(setting)) return [];
    const id = runOf(file.path);
    const state = states.find(({ path }) => runOf(path) === id) ?? null;
    const route = routes.find(({ path }) => runOf(path) === id) ?? null;
    const [role, because] = roleOf(setting.right, file, state, route);
    return [{ id, role, because, setting: setting.right, tokens: file, state, route }];
  });
  const alone = routes.filter(({ path }) => !tokens.some((file) => runOf(file.path) === runOf(path))).map(({ path }): Mistake => ({ path, message: "has no rows by token beside it" }));
  const stray = states.filter(({ path }) => !tokens.some((file) => runOf(file.path) === runOf(path))).map(({ path }): Mistake => ({ path, message: "has no rows by token beside it" }));
  const mistakes = [...unknown, ...alone, ...stray, ...cells.flatMap((cell) => strangeShapes(models, cell))];
  return mistakes.length > 0 ? E.left(badInput(where, mistakes)) : E.right(cells);
};
