// Which llama.cpp is compared with, with which options it is built, and where the programs lie once they are built.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { arch, cpus, homedir } from "node:os";
import { join } from "node:path";

/** The release, and the npm package that carries its source as a git bundle. The digest is the registry's, of the package's tarball. */
export const RELEASE = {
  version: "0.5.0",
  package: "node-llama-cpp@3.22.1",
  integrity: "sha512-bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw==",
  bundle: "package/llama/gitRelease.bundle",
};

/** llama.cpp's own programs that are built. Beside them lie ours. */
export const PROGRAMS = ["llama-bench", "llama-perplexity", "llama-quantize", "llama-tokenize"];

/** Our programs on its libraries, each from NAME.c here: in which builds, and what it is linked with. The buffer types of `default` are all that `product` compares. */
export const OURS = {
  reference: { builds: ["default", "noRepack"], libraries: ["-lllama", "-lggml", "-lggml-base"] },
  product: { builds: ["default"], libraries: ["-lggml", "-lggml-cpu", "-lggml-base", "-lm"] },
};

/**
 * Options of cmake. The libraries find each other beside themselves, so that the folder can be moved into its place when it is whole.
 * OpenMP is off as in the published binaries: llama.cpp's own threads are the faster ones here.
 */
export const OPTIONS = [
  "-DCMAKE_BUILD_TYPE=Release",
  "-DCMAKE_BUILD_RPATH_USE_ORIGIN=ON",
  "-DLLAMA_CURL=OFF",
  "-DLLAMA_OPENSSL=OFF",
  "-DLLAMA_BUILD_TESTS=OFF",
  "-DLLAMA_BUILD_EXAMPLES=OFF",
  "-DLLAMA_BUILD_SERVER=OFF",
  "-DGGML_OPENMP=OFF",
  "-DGGML_NATIVE=ON",
];

/**
 * The two builds. `default` is llama.cpp at its strongest: it copies Q4_0 weights into a layout that its kernels like. That copy is anonymous
 * memory, so under a memory limit the process is killed; `noRepack` uses the weights as they lie in the mapped file. Only the library
 * of CPU kernels differs (the option is defined for nothing else), so the second build is that library next to the first one's programs.
 */
export const BUILDS = { default: [], noRepack: ["-DGGML_CPU_REPACK=OFF"] };

/** The library that differs between the builds. */
export const KERNELS = { target: "ggml-cpu", files: /^libggml-cpu\.so/ };

// Kernels are compiled for the processor at hand, so its instruction sets are part of what was built.
const processor = () => {
  const info = existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "utf8") : "";
  return /^(?:flags|Features)\s*:.*$/m.exec(info)?.[0] ?? cpus()[0]?.model ?? "unknown";
};

const digest = (...parts) => createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);

/** The cache folder of this release, these options and this processor: outside the repository. */
export const cacheFolder = (environment = process.env) =>
  join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "neuronlab", `llama.cpp-${RELEASE.version}-${digest(RELEASE.integrity, OPTIONS, BUILDS, PROGRAMS, arch(), processor())}`);

/** Names the state of the sources of our programs, so that what changed is compiled again and nothing else: {reference: digest, product: digest}. */
export const sourceDigests = () => Object.fromEntries(Object.keys(OURS).map((name) => [name, digest(readFileSync(new URL(`${name}.c`, import.meta.url), "utf8"))]));

/** The manifest that a finished build leaves, or null: {version, folder, compiler, default: {program: path}, noRepack: {program: path}, and a digest of the source for each program of ours}. */
export const manifestIn = (folder) => {
  const path = join(folder, "built.json");
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
};
