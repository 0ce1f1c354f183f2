/**
 * Shown commands that are not run as they stand, each with its reason and what is done in its place. An entry that no text shows any
 * more is a mistake, so the table stays as short as it can be.
 */

export interface Apart {
  /** The command, whole, or what it begins with. */
  readonly shows: string | RegExp;
  readonly why: string;
  /** What stands in: a command that is run in its place, or a line that .ci/run must hold. */
  readonly instead: { readonly run: string | ((text: string) => string) } | { readonly step: string } | { readonly files: (text: string) => ReadonlyArray<string> } | { readonly nothing: true };
}

const step = (shows: string | RegExp, why: string, line: string): Apart => ({ shows, why, instead: { step: line } });
const run = (shows: string | RegExp, why: string, command: string | ((text: string) => string)): Apart => ({ shows, why, instead: { run: command } });
const nothing = (shows: string | RegExp, why: string): Apart => ({ shows, why, instead: { nothing: true } });

/** The example or binary that `cargo run -p neuronlab-X --example Y` names, as the file that holds it. */
const exampleOf = (text: string): ReadonlyArray<string> => {
  const crate = /-p neuronlab-([a-z]+)/.exec(text)?.[1];
  const example = /--example (\w+)/.exec(text)?.[1];
  const folder = crate === undefined ? "engine" : `engine/crates/${crate}`;
  return [`${folder}/Cargo.toml`, ...(example === undefined ? [] : [`${folder}/examples/${example}.rs`])];
};
const filesNamed = (text: string): ReadonlyArray<string> => text.split(" ").filter((word) => /^(?:test|site|engine|experiments)\//.test(word));

const ANOTHER_MACHINE = "needs a phone, or another machine's toolchain";
const A_STEP = "a step of .ci/run by itself";

export const APART: ReadonlyArray<Apart> = [
  step(/^npm ci(?: && npm (?:start|test))?$/, A_STEP, "npm ci --no-audit"),
  step("npm test", A_STEP, "npm test --"),
  step("npm start", "the tour, minutes long: a step of .ci/run", "tour --fresh"),
  step(/^(?:npx )?neuronlab tour(?: --format json| --fresh --dir \S+)?$/, "the tour, minutes long: a step of .ci/run", "tour --fresh"),
  nothing("npm run check", "this is a part of it"),
  nothing(/^npm run shown/, "this is it"),
  step(/^npm run (types|lint|imports)$/, A_STEP, "npm run --silent types"),
  step("npm run build:engine", "npm ci does it, which .ci/run begins with", "npm ci --no-audit"),
  step(/^npm run (site|build)$/, "npm ci does it, which .ci/run begins with", "the site was built"),
  step("cargo test", A_STEP, "crates test --locked"),
  { shows: /^npx vitest run /, why: "npm test runs all of them", instead: { files: filesNamed } },
  { shows: /^cargo run /, why: "builds with optimisation for minutes; clippy --all-targets, a step of .ci/run, compiles it", instead: { files: exampleOf } },
  { shows: /^cargo build --release -p neuronlab-measure$/, why: "builds with optimisation for minutes; clippy compiles it", instead: { files: exampleOf } },
  nothing(/^cargo (?:\+nightly|install)/, "needs a nightly compiler and a registry, which CI does not ask for"),
  nothing(/^apt-get install /, "installs into the system"),
  nothing(/^(?:[A-Z]+=\S+ )*(?:python3 -m venv|~\/venv\/bin\/python|\(cd experiments\/train|experiments\/train\/)/, "trains a model for hours, with PyTorch, a project of its own"),
  nothing(/^fio /, "measures a disk with a program that CI need not have, on a file of gigabytes"),
  nothing(/^(?:adb |rustup target|CARGO_TARGET_AARCH64|PROFILE=|NDK=)/, ANOTHER_MACHINE),
  step(/^engine\/aarch64-(?:tests|measure)\.sh$/, "fetches a compiler and an emulator; a step of .ci/run where they are", "engine/aarch64-measure.sh"),
  nothing("python3 -m http.server -d dist/site", "serves until it is ended, with a program that CI need not have; neuronlab view is run"),
  nothing("npx vite --config site/build/vite.config.ts", "serves until it is ended; the build with the same settings is a step of npm ci"),
  { shows: "node engine/rivals/llama.cpp/build.mjs", why: "builds llama.cpp for ten minutes", instead: { files: filesNamed } },
  { shows: /^node engine\/adaptation\.mjs(?: |$)/, why: "measures this machine for a quarter of an hour", instead: { files: filesNamed } },
  { shows: /^npm run build && node engine\/fuzz\/seeds\.mjs$/, why: "writes into the tree, for cargo-fuzz", instead: { files: filesNamed } },
  { shows: "npm run timeline", why: "a tour and a prediction, minutes, and writes into results; the tour is a step of .ci/run", instead: { files: () => ["site/build/timeline.ts", "site/build/one-token.ts"] } },
  { shows: "npm run plans", why: "minutes for each plan, on ten gigabytes", instead: { files: () => ["engine/published-plans.mjs"] } },
  run(/^neuronlab synth --model bamboo-7b --out bamboo-7b\.gguf --verify-tokens 0$/, "four gigabytes", "neuronlab synth --model bamboo-7b --layers 1 --out one-layer.gguf --verify-tokens 0"),
  run(/^neuronlab pack bamboo-7b\.gguf --out bamboo-7b\.flash$/, "six gigabytes", "neuronlab pack one-layer.gguf --out one-layer.flash"),
  nothing(/^neuronlab generate --model bamboo-7b\.flash .* --plan results\/tuned\//, "needs the model whole, six gigabytes; npm run plans runs it"),
  { shows: /^npm run versus/, why: "minutes to an hour, on gigabytes", instead: { files: () => ["engine/rivals/llama.cpp/host-comparison.mjs"] } },
  { shows: /^npm run bench(?: (?:-- )?(?:kernel|neurons|inference|kernels|replay|gemm|sweep))?$/, why: "builds anew, then measures for minutes", instead: { files: () => ["test/bench/main.ts", "dist/test/bench/main.js"] } },
  // Of the program itself: what takes minutes, in a smaller form.
  run(/^(?:npx )?neuronlab probe$/, "minutes", "neuronlab probe --quick"),
  run(/^neuronlab probe --dir (\S+) --out laptop\.json$/, "minutes", "neuronlab probe --quick --dir /mnt/models --out laptop.json"),
  run(/^neuronlab validate host(?: --device results\/host\/profile\.json| --device laptop\.json --seed 2 --out \S+| --format json| --repetitions 1| --seed 1)?$/, "a quarter of an hour", "neuronlab validate host --quick --models model.gguf --out validated"),
  run(/^neuronlab validate host(?: --device \S+(?: --repetitions 4)? --out \S+)? --system \S+$/, "a minute where its runs are kept, else a quarter of an hour", "neuronlab validate host --quick --models model.gguf --out validated --system neuronlab"),
  run(/^(?:npx )?neuronlab validate host --quick$/, "makes its models for two minutes", "neuronlab validate host --quick --models model.gguf --out validated"),
  run(/^neuronlab reproduce (?:f|t|ts-t)\d+[ab]?$/, "each is a part of all", "neuronlab reproduce"),
  { shows: /^neuronlab tune --(?:regret|adaptation|published)(?: --check)?$/, why: "searches for minutes to an hour, and writes into results", instead: { files: () => ["experiments/planner-regret/study.ts", "experiments/tuned/published.ts"] } },
  run(/^neuronlab sweep \S+ --out results\/sweeps\/\S+$/, "the stored sweeps, minutes in all", (text) => text.replace(/ --out .*/, " --dry-run")),
  run(/^neuronlab results show [0-9a-f]{6}$/, "a key that no run here has", "neuronlab results show io-lanes"),
  run(/^neuronlab synth --out \S+-\d+b\.gguf /, "gigabytes", (text) => text.replace("$M", "--layers 1 --experts 8 --used 2").replace(/\$[A-Z]/, "--layers 1").replace(/--out \S+/, "--out made.gguf")),
  run("neuronlab synth --out bamboo-4.gguf --model bamboo-7b --layers 4", "half a gigabyte", "neuronlab synth --out bamboo-1.gguf --model bamboo-7b --layers 1 --verify-tokens 0"),
  run(/^neuronlab train-predictor .*(?:--tokens 20000 --recall 98%|--rank 64 --format json)$/, "half a minute and more", (text) => `${text.replace(" --tokens 20000", "")} --tokens 1024`),
  run("neuronlab perplexity --ffn dense --vs llama.cpp", "of a text that does not come along", "neuronlab perplexity --model model.gguf --text novel.txt --windows 2 --vs llama.cpp"),
  run(/neuronlab bench .*--vs llama\.cpp/, "all tests in three rounds, minutes", (text) => `${text.replace("10%..120%/8", "900MB,1GB").replace(/ -[pnr] \d+/g, "")} -p 16 -n 4 -r 1 --rounds 1`),
  run(/^neuronlab generate --plan here\.plan\.json /, "of a plan for the reader's machine, on two cores", "neuronlab generate --model model.flash --prompt 'It was a fine morning' --tokens 9 --pin 0 --save bound.json --trace bound.trace.json"),
  run(/^neuronlab validate tuned(?: --quick| --seed 1| --device \S+ --system \S+ --repetitions 4(?: --out results\/host\/xeon\/tuned)?)?$/, "makes its models, and minutes of rounds", "neuronlab validate tuned --quick --repetitions 1 --out tuned-here"),
  step("neuronlab validate trace", "a step of .ci/run by itself", "validate trace --check"),
  { shows: /^neuronlab (?:worker|sweep .* --executor )/, why: "needs a server of Redis, or a cluster; tests start real ones", instead: { files: () => ["test/cli/queue/queue.test.ts", "test/cli/queue/slurm.test.ts"] } },
  run(/^(?:npx )?neuronlab calibrate(?: --dry-run)?$/, "writes into the profiles, or takes minutes: once", "neuronlab calibrate --dry-run"),
];
