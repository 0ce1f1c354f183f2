/** Time that passes, for messages only: no result may depend on it. */
export const now = (): number => performance.now();
