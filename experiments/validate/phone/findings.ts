/** What the errors of the recorded runs say of the model; kept by hand beside the page's numbers. */
export const findings = `## What the model gets wrong

TODO`;
