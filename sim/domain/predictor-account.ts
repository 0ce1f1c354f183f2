/** What a predictor does to a token, in neurons. */
export interface PredictorAccount {
  /** Neurons it selects, those of them whose gate fires, and those read and computed in vain. */
  readonly selected: number;
  readonly fires: number;
  readonly inVain: number;
  /** Neurons that would have fired and were not selected: what the output loses. */
  readonly lost: number;
  /** Share of the idle neurons that it selects. */
  readonly falsePositives: number;
}
