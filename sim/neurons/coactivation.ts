/**
 * What the predictor lets in and what of it is read for nothing. A neuron's gate, up and down rows are wanted together:
 * of the neurons predicted, a share `gateFires` (80 % in the paper) has a non-zero gate and then needs up and down; the
 * rest were read in vain. (PowerInfer-2 v3, text on co-activation and on two-phase loading)
 */
import type { PredictorAccount } from "../domain/predictor-account.js";

export interface PredictorSkill {
  /** Share of the truly active neurons that it predicts (LLM in a flash, arXiv 2312.11514, predictors: 5 % false negatives, so 0.95). */
  readonly recall: number;
  /** Share of the truly idle neurons that it predicts too. */
  readonly falsePositives: number;
}

/** All as shares of the neurons looked at. */
export interface Prediction {
  readonly predicted: number;
  /** Active and predicted: gates that fire. */
  readonly found: number;
  /** Active and not predicted: their contribution to the output is lost. */
  readonly lost: number;
  /** Predicted though idle. */
  readonly inVain: number;
}

export const prediction = (activeRate: number, skill: PredictorSkill): Prediction => {
  const found = activeRate * skill.recall;
  const inVain = (1 - activeRate) * skill.falsePositives;
  return { predicted: found + inVain, found, lost: activeRate - found, inVain };
};

/** Share of predicted neurons whose gate fires. 1 where nothing is predicted. */
export const gateFiresOf = (activeRate: number, skill: PredictorSkill): number => {
  const { predicted, found } = prediction(activeRate, skill);
  return predicted > 0 ? found / predicted : 1;
};

/** The false positives at which a predictor of this recall has the given share of gates firing: gateFires is what the paper gives. At most 1, when all is predicted. */
export const falsePositivesAt = (activeRate: number, recall: number, gateFires: number): number =>
  activeRate >= 1 ? 0 : Math.min(1, (activeRate * recall * (1 / gateFires - 1)) / (1 - activeRate));

/** The account of `selected` neurons out of `lookedAt`, for a predictor of this recall of which `gateFires` of the selected fire. */
export const predictorAccount = (selected: number, lookedAt: number, gateFires: number, recall: number): PredictorAccount => {
  const fires = selected * gateFires;
  const truly = fires / recall;
  return { selected, fires, inVain: selected - fires, lost: truly - fires, falsePositives: lookedAt > 0 ? falsePositivesAt(truly / lookedAt, recall, gateFires) : 0 };
};

/** Rows that a missing predicted neuron makes one read, on average. */
export interface ReadRows {
  /** Gate first, then up and down of those that fire. */
  readonly twoPhase: number;
  /** All three at once. */
  readonly bundle: number;
  /** Of the rows read, those of neurons whose gate does not fire. */
  readonly twoPhaseWasted: number;
  readonly bundleWasted: number;
}

export const rowsRead = (gateFires: number): ReadRows => ({ twoPhase: 1 + 2 * gateFires, bundle: 3, twoPhaseWasted: 1 - gateFires, bundleWasted: 3 * (1 - gateFires) });
