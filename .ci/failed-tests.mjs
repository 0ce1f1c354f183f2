/**
 * `node .ci/failed-tests.mjs REPORT [--files]`: what failed in a report of vitest's json reporter and what it said, each in a few
 * lines; with --files only the names of the files, one a line, as vitest takes them.
 */
import { readFileSync } from "node:fs";
import { relative } from "node:path";

/** Lines of one message: what was expected and what came, not the whole stack. */
const LINES = 14;
const [path, what] = process.argv.slice(2);

const shortened = (message) => message.split("\n").filter((line) => !/node_modules|node:internal/.test(line)).slice(0, LINES).map((line) => `    ${line.slice(0, 300)}\n`).join("");

const failed = JSON.parse(readFileSync(path, "utf8")).testResults.filter((file) => file.status === "failed");
for (const file of failed) {
  const name = relative(process.cwd(), file.name);
  const tests = file.assertionResults.filter((test) => test.status === "failed");
  if (what === "--files") process.stdout.write(`${name}\n`);
  else if (tests.length === 0) process.stdout.write(`${name}\n${shortened(file.message ?? "")}`);
  else process.stdout.write(tests.map((test) => `${name} > ${test.fullName}\n${shortened((test.failureMessages ?? []).join("\n"))}`).join(""));
}
