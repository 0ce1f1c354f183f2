#!/usr/bin/env node
import { existsSync } from "node:fs";

const entry = new URL("../dist/cli/main.js", import.meta.url);
if (existsSync(entry)) {
  const { widenInlining } = await import(new URL("../dist/cli/node/inlining.js", import.meta.url).href);
  widenInlining();
  const { main } = await import(entry.href);
  await main(process.argv.slice(2));
} else {
  process.stderr.write("neuronlab is not built: run npm ci (or npm run build) first\n");
  process.exitCode = 70;
}
