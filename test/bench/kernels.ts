/** The engine's compute kernels beside the roofs of this machine: the Rust bench, run by Cargo, prints its own tables. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** From dist/test/bench/. */
const engine = fileURLToPath(new URL("../../../engine/", import.meta.url));

export const benchKernels = (): Promise<void> => {
  const present = spawnSync("cargo", ["--version"], { stdio: "ignore" });
  if (present.error !== undefined || present.status !== 0) {
    console.log("  not run: needs Rust (https://rustup.rs)");
    return Promise.resolve();
  }
  const ran = spawnSync("cargo", ["run", "--release", "--locked", "--package", "neuronlab-neuron", "--example", "bench"], { cwd: engine, stdio: "inherit" });
  if (ran.error !== undefined || ran.status !== 0) {
    console.error("the kernels' bench failed");
    process.exitCode = 1;
  }
  return Promise.resolve();
};
