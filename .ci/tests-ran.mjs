/**
 * `node .ci/tests-ran.mjs REPORT`: was every test file on disk run, and does each expect something? REPORT is what
 * vitest's json reporter wrote. Prints "PASSED FAILED SKIPPED" of the tests; names each orphan on stderr and exits 1.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";

const report = JSON.parse(readFileSync(process.argv[2], "utf8"));
const ran = new Map(report.testResults.map((file) => [relative(process.cwd(), file.name), file]));
// Anywhere in the tree, so that a test file outside of what vitest looks at is found too.
const onDisk = ["sim", "cli", "experiments", "engine", "notebooks", "test"].filter((folder) => existsSync(folder)).flatMap((folder) =>
  readdirSync(folder, { recursive: true }).filter((path) => /\.(test|spec)\.[cm]?[jt]sx?$/.test(path) && !path.includes("node_modules")).map((path) => join(folder, path)),
);

const wrong = onDisk.flatMap((path) => {
  if (!ran.has(path)) return [`${path}: was not run`];
  if (ran.get(path).assertionResults.length === 0 && ran.get(path).status !== "failed") return [`${path}: holds no test`];
  return /\bexpect\b/.test(readFileSync(path, "utf8").replace(/^import .*$/gm, "")) ? [] : [`${path}: expects nothing`];
});
if (onDisk.length === 0) wrong.push("no test file on disk");

const unloaded = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
process.stdout.write(`${report.numPassedTests} ${report.numFailedTests + unloaded.length} ${report.numPendingTests + report.numTodoTests}\n`);
process.stderr.write(wrong.map((line) => `${line}\n`).join(""));
process.exitCode = wrong.length > 0 ? 1 : 0;
