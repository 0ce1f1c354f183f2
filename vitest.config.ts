import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // No test waits for a clock; this ends one that hangs. A browser that draws beside them may slow the others tenfold.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    // Deterministic order and two workers: the machine this is developed on has two cores.
    maxWorkers: 2,
  },
});
