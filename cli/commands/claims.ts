import type { Command } from "../command.js";

export const claimsCommand: Command = {
  name: "claims",
  summary: "What this project claims, of the paper and of itself: command, time, tolerance and verdict of each, from the stored results",
  flags: [{ name: "check", value: null, help: "write nothing; exit 70 if docs/claims.md is not what the stored results say" }],
  examples: [
    ["claims", "write docs/claims.md, and list what is missed"],
    ["claims --check", "is it still what the stored results say?"],
    ["claims --check --format json", "every row for a program"],
  ],
  load: async () => {
    const [{ claimsProgram }, page] = await Promise.all([import("../programs/claims.js"), import("../../experiments/claims-table/page.js")]);
    return claimsProgram({ sources: page.CLAIM_SOURCES, rows: page.claimRows, page: page.claimsPage })(claimsCommand);
  },
};
