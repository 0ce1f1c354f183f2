/** Decisions made between tokens, in words. Pure. */
import { showBytes, showNs } from "../base/units.js";
import type { Decision } from "../domain/adaptation.js";
import { showNumber, showShare } from "./table.js";

const WHAT = { apart: "gate rows apart", joined: "gate rows joined", bundles: "whole bundles" } as const;

const percent = (share: number): string => `${share < 0 ? "-" : ""}${showShare(Math.abs(share))}`;

const because = ({ cause, measured, predicted }: Decision): string => {
  const reads = `reading took ${showNs(measured.readingNs)} a token, predicted ${showNs(predicted.readingNs)}`;
  const kernels = predicted.computeNs === null ? "" : `computing took ${showNs(measured.computeNs)} a token, before ${showNs(predicted.computeNs)}`;
  switch (cause) {
    case "storage":
      return reads;
    case "kernels":
      return kernels;
    case "both":
      return `${reads}; ${kernels}`;
    case "trial":
      return `a token took ${showNs(measured.wallNs)}`;
  }
};

const saving = ({ saves, verdict }: Decision): string => {
  if (saves === null) return "";
  switch (verdict) {
    case "changed":
    case "tried":
      return `, which may save ${percent(saves.least)} to ${percent(saves.most)} of a token`;
    case "kept":
    case "returned":
      return `: it ${saves.least < 0 ? `cost ${percent(-saves.least)}` : `saved ${percent(saves.least)}`}`;
    case "corrected":
      return saves.most > 0 ? `; another way would save at most ${percent(saves.most)}` : "; no other way would save anything";
  }
};

const did = (decision: Decision): string => {
  const { verdict, gates } = decision;
  switch (verdict) {
    case "changed":
      return `reads ${WHAT[gates.to]} instead of ${WHAT[gates.from]}`;
    case "tried":
      return `tries ${WHAT[gates.to]} instead of ${WHAT[gates.from]}`;
    case "kept":
      return `keeps to ${WHAT[gates.to]}`;
    case "returned":
      return `returns from ${WHAT[gates.from]} to ${WHAT[gates.to]}`;
    case "corrected":
      return `corrects its rates and keeps to ${WHAT[gates.to]}`;
  }
};

const ratesOf = ({ rates: { from, to } }: Decision): string =>
  from.commandNs === to.commandNs && from.byteNs === to.byteNs ? "" : `; a command now ${showNs(to.commandNs)} (${showNs(from.commandNs)}), ${to.byteNs > 0 ? showBytes(1e9 / to.byteNs) : "no limit"} a second (${from.byteNs > 0 ? showBytes(1e9 / from.byteNs) : "no limit"})`;

/** One line each. */
export const describeDecision = (decision: Decision): string =>
  `token ${decision.token}: ${because(decision)} (${showNumber(decision.measured.readsPerSec)} reads and ${showBytes(decision.measured.bytesPerSec)} a second, waiting ${showShare(decision.measured.waitedShare)}, hits ${showShare(decision.measured.hitRate)}); ${did(decision)}${saving(decision)}${ratesOf(decision)}`;

/** Nothing where nothing was to adapt. */
export const describeAdaptation = (decisions: ReadonlyArray<Decision> | null): ReadonlyArray<string> =>
  decisions === null ? [] : decisions.length === 0 ? ["adapting: all was as predicted, nothing was changed"] : ["adapting:", ...decisions.map((decision) => `  ${describeDecision(decision)}`)];
