import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    // Deterministic order and two workers: the machine this is developed on has two cores.
    maxWorkers: 2,
  },
});
