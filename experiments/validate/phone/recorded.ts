/** What is recorded of a phone's runs, as the decoders of this folder give it: rows by token, what was set, the state of the phone, routings, replays. */
import type { Routing } from "../../../sim/neurons/routing.js";

/** A file below the folder of recordings, by its path there. */
export interface RecordedFile { readonly path: string; readonly text: string }

/** A token as the engine timed it, ms and bytes; null where the file's version has no such column. */
export interface TokenTimes {
  readonly wallMs: number;
  /** Without overlap the wall time blocked on reads, with it the lanes' busy time, added up. */
  readonly ioMs: number;
  /** What is left of the wall time; nobody measured it. */
  readonly computeMs: number;
  readonly readBytes: number;
  /** Of all look-ups so far, the prompt's included; null without a cache. */
  readonly hitPercent: number | null;
  /** Wall time lost to reads, with overlap only. */
  readonly stallMs: number;
  readonly managementMs: number | null;
  readonly majorFaults: number | null;
}

/** What the file's own header says was set. */
export interface RunHeader {
  readonly architecture: string;
  readonly layers: number;
  readonly experts: number;
  readonly expertsUsed: number;
  readonly threads: number;
  readonly streams: boolean;
  readonly cacheMib: number;
  readonly lanes: number;
  readonly overlaps: boolean;
  readonly denseWeights: string;
}

export interface TokenFile { readonly path: string; readonly header: RunHeader | null; readonly tokens: ReadonlyArray<TokenTimes>; readonly promptTokens: number }

/** Least memory that was available during a run, and before it, bytes; null where nobody looked. */
export interface PhoneState { readonly path: string; readonly leastAvailable: number; readonly availableBefore: number; readonly batteryC: number }

/** Of each layer's experts: which were used, in which order, and whether they were in memory and what was read for them. */
export interface RouteFile {
  readonly path: string;
  readonly architecture: string;
  readonly expertBytes: ReadonlyArray<number>;
  readonly denseBytes: ReadonlyArray<number>;
  readonly routing: Routing;
  /** By token, layer and rank, as `routing.used`: 1 in memory, 0 not. */
  readonly resident: Uint8Array;
  /** Of the prompt: different experts, and bytes read for them. */
  readonly promptBytes: number;
}

/** Hit rate by budget and policy, as somebody replayed a routing. Percent; over everything and over the generated tokens alone. */
export interface CurveRow { readonly budgetMib: number; readonly policy: string; readonly hitPercent: number; readonly decodeHitPercent: number; readonly readMib: number }
export interface CurveFile { readonly path: string; readonly rows: ReadonlyArray<CurveRow> }

export interface Recordings {
  readonly tokens: ReadonlyArray<TokenFile>;
  readonly states: ReadonlyArray<PhoneState>;
  readonly routes: ReadonlyArray<RouteFile>;
  readonly curves: ReadonlyArray<CurveFile>;
}

/** The path without what follows its first dot: files of one run share it. */
export const runOf = (path: string): string => {
  const slash = path.lastIndexOf("/") + 1;
  const dot = path.indexOf(".", slash);
  return dot < 0 ? path : path.slice(0, dot);
};
