/**
 * Who may import whom. Each rule carries its reason; `npm run imports` checks the tree against them, type-only imports
 * included. To see it bite, import `node:fs` or a type of `cli` somewhere under sim/.
 *
 *   sim:    base <- domain <- neurons <- policies
 *           base <- kernel <- hardware (also domain)
 *           domain, neurons, hardware/{kernels,flash} <- planner
 *           all of these but report <- inference;   domain <- report
 *   around: sim <- experiments <- cli <- test;   sim/base <- engine <- cli;   sim, experiments <- site
 */

/** Packages as they are resolved: node_modules/<name>/… */
const packages = (...names) => `(^|/)node_modules/(@types/)?(${names.join("|")})(/|$)`;

/** A layer of sim/: nothing but itself and the named layers, and the packages that sim-is-closed lets in. */
const layer = (name, may, comment) => ({
  name: `sim-${name}`,
  severity: "error",
  comment,
  from: { path: `^sim/${name}/` },
  to: { path: "^sim/", pathNot: [`^sim/${name}/`, ...may.map((path) => `^sim/${path}`)] },
});

/** One door for a package: all else goes through that file. */
const door = (name, files, comment, ...names) => ({
  name: `door-${name}`,
  severity: "error",
  comment,
  from: { pathNot: files },
  to: { path: packages(...names) },
});

module.exports = {
  forbidden: [
    {
      name: "sim-is-closed",
      severity: "error",
      comment: "the simulator can be run, tested and reasoned about without files, a clock, native code or a terminal, in a browser too",
      from: { path: "^sim/" },
      to: { pathNot: ["^sim/", packages("fp-ts", "io-ts", "seedrandom")] },
    },
    layer("base", [], "units, errors and decoders: the ground, which knows nothing above it"),
    layer("domain", ["base/"], "what devices, models, systems, plans and runs are; how they behave lies above"),
    layer("kernel", ["base/"], "it knows events, not phones: no domain"),
    layer("neurons", ["base/", "domain/"], "how neurons behave has no speed: no hardware"),
    layer("policies", ["base/", "domain/", "neurons/"], "a policy sees the facts handed to it, never the machine"),
    layer("hardware", ["base/", "domain/", "kernel/"], "parts of a phone serve any policy: they know none"),
    layer("planner", ["base/", "domain/", "neurons/", "hardware/(kernels|flash)\\.ts$"], "choosing a plan needs sizes, hit rates, kernel and flash rates; running one is inference's, which a search is handed as an argument"),
    layer("inference", ["base/", "domain/", "kernel/", "neurons/", "policies/", "hardware/", "planner/(default-plan|check-plan|fit)\\.ts$"], "running a plan; of the planner only what a run needs when it is given no plan, never a search, and no report"),
    layer("sweep", ["base/", "domain/", "planner/", "report/metrics\\.ts$"], "points and what they ask for: documents, requests and plans. Whoever runs them brings the simulator"),
    layer("report", ["base/", "domain/"], "a report reads records; it cannot tell who made them, simulator or engine"),
    {
      name: "experiments-are-questions",
      severity: "error",
      comment: "an experiment is data and pure functions over sim: no files, no command line, no engine. Whoever runs it brings the effects",
      from: { path: "^experiments/" },
      to: { pathNot: ["^experiments/", "^sim/", packages("@observablehq/plot", "d3", "d3-[a-z-]+", "@resvg/resvg-js")] },
    },
    {
      name: "engine-has-one-face",
      severity: "error",
      comment: "engine/index.ts turns the native module into values; it shares words and errors with the simulator and nothing else",
      from: { path: "^engine/" },
      to: { pathNot: ["^engine/[^/]+\\.ts$", "^sim/base/", "^(node:)?(fs|path|url)$"] },
    },
    {
      name: "the-binding-is-behind-it",
      severity: "error",
      comment: "the form of the native module is known to engine/index.ts alone",
      from: { pathNot: "^(engine|test)/" },
      to: { path: "^engine/", pathNot: "^engine/index\\.ts$" },
    },
    {
      name: "an-experiment-stands-alone",
      severity: "error",
      comment: "no figure knows another; what two share lies above them",
      from: { path: "^experiments/(f[0-9]+[ab]?|t[0-9]+|ts-t[0-9]+)/" },
      to: { path: "^experiments/[^/]+/", pathNot: ["^experiments/$1/"] },
    },
    {
      name: "pictures-are-shown-not-computed",
      severity: "error",
      comment: "plots turn rows into pictures: no number is made there, so nothing of sim is needed",
      from: { path: "^experiments/plots/" },
      to: { path: "^sim/", pathNot: "^sim/(base|domain|report)/" },
    },
    {
      name: "site-runs-in-a-browser",
      severity: "error",
      comment: "pages have no files, no command line and no engine: they are made of the simulator, the plots and what is fetched. The settings of the bundler run in Node",
      from: { path: "^site/", pathNot: "^site/build/" },
      to: { pathNot: ["^site/", "^sim/", "^experiments/", packages("vite")] },
    },
    {
      name: "stories-compute-nothing",
      severity: "error",
      comment: "a notebook shows results; the one page that runs the simulator is site/phone",
      from: { path: "^site/", pathNot: "^site/(phone/|build/)" },
      to: { path: "^sim/(inference|planner|sweep|kernel|hardware|neurons|policies)/" },
    },
    {
      name: "site-is-an-edge",
      severity: "error",
      comment: "what a page is made of serves pages: nothing else can need it",
      from: { pathNot: "^(site|test)/" },
      to: { path: "^site/" },
    },
    {
      name: "cli-is-the-edge",
      severity: "error",
      comment: "the command line is the only composition root: nothing can depend on it but its tests",
      from: { pathNot: "^(cli|test)/" },
      to: { path: "^cli/" },
    },
    {
      name: "test-is-a-leaf",
      severity: "error",
      comment: "what ships does not need its tests",
      from: { pathNot: "^(test/|site/build/|[^/]+\\.config\\.ts$)" },
      to: { path: "^test/" },
    },
    {
      name: "effects-live-in-cli-node",
      severity: "error",
      comment: "files, processes and the machine are touched in cli/node only; programs get them handed in. node:path computes and touches nothing. engine/binding.ts loads native code, which is what it is for",
      from: { pathNot: "^(cli/node/|test/|engine/binding\\.ts$|site/build/)" },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?path$" },
    },
    {
      name: "effects-are-handed-in",
      severity: "error",
      comment: "a program names the capabilities it needs and is tested with fakes; main.ts, run.ts and the commands hand it the real ones",
      from: { path: "^cli/", pathNot: "^cli/(node/|commands/|run\\.ts$|main\\.ts$)" },
      to: { path: "^cli/node/" },
    },
    {
      name: "effects-know-no-program",
      severity: "error",
      comment: "cli/node serves every command and knows none",
      from: { path: "^cli/node/" },
      to: { path: "^cli/(commands|programs)/" },
    },
    {
      name: "slow-twins-are-for-tests",
      severity: "error",
      comment: "the obvious twin of a clever part is there to be compared with, not to be run",
      from: { pathNot: ["^test/", "-slow\\.ts$"] },
      to: { path: "-slow\\.ts$" },
    },
    door("fp-ts", "^sim/base/(fp|decode)\\.ts$", "fp-ts' short paths type-check and then fail in the built program; sim/base/fp.ts has the ones that work", "fp-ts"),
    door("io-ts", "^sim/base/decode\\.ts$", "decoding has one style of message: sim/base/decode.ts", "io-ts"),
    door("seedrandom", "^sim/base/(random\\.ts|seedrandom-lib\\.d\\.ts)$", "every random number comes from a named stream: sim/base/random.ts", "seedrandom"),
    door("yargs", "^cli/command-line\\.ts$", "yargs makes NaN of words in silence; cli/command-line.ts takes only text from it", "yargs"),
    door("piscina", "^cli/node/(pool|worker)\\.ts$", "one pool, in cli/node/pool.ts", "piscina"),
    door("cli-progress", "^cli/node/progress\\.ts$", "one bar, in cli/node/progress.ts", "cli-progress"),
    door("duckdb", "^(cli/node/store/(database|store)\\.ts$|test/)", "one database, in cli/node/store", "@duckdb/node-api"),
    door("bullmq", "^(cli/node/queue/|test/)", "one queue, in cli/node/queue", "bullmq", "ioredis"),
    door("jiti", "^cli/node/declaration\\.ts$", "modules of users are loaded in one place, cli/node/declaration.ts", "jiti"),
    door("jsdom", "^(cli/node/drawing\\.ts$|test/)", "a document without a browser is an effect that is handed in: cli/node/drawing.ts", "jsdom"),
    door("resvg", "^experiments/plots/raster\\.ts$", "one rasteriser, in experiments/plots/raster.ts", "@resvg/resvg-js"),
    door("plot", "^(experiments/plots|test)/", "pictures are drawn in experiments/plots", "@observablehq/plot", "d3"),
    {
      name: "no-cycles",
      severity: "error",
      comment: "two files that need each other are one file, or one of them holds something that belongs in a third",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-orphans",
      severity: "error",
      comment: "a file that nobody imports and that imports nobody is dead",
      from: { orphan: true, pathNot: ["\\.d\\.ts$", "\\.test\\.ts$", "^site/libraries\\.ts$"] },
      to: {},
    },
    {
      name: "no-dead-files",
      severity: "error",
      comment: "what ships is reached from the entry, from the worker or from a page, or it is a slow twin that tests compare with",
      from: { path: "^(cli/(main|node/worker)|site/phone/page|site/(index|figures|activations|plan|pipeline|sweeps|llama)|site/build/vite\\.config)\\.ts$" },
      to: {
        path: "^(cli|experiments|sim|site)/",
        pathNot: [
          "-slow\\.ts$",
          "\\.d\\.ts$",
          "^cli/(main|node/worker)\\.ts$",
          // Started by hand, to keep a record small, or to make one (npm run timeline).
          "^site/build/(one-token|timeline)\\.ts$",
          // The bundler puts it where the notebook kit has its own list.
          "^site/libraries\\.ts$",
          // Notebooks import them.
          "^site/(index|figures|activations|plan|pipeline|sweeps|llama|phone/page|build/vite\\.config)\\.ts$",
          // bin/neuronlab.js calls it before anything else is loaded.
          "^cli/node/inlining\\.ts$",
          // A declaration is named on the command line and loaded then, as a user's own is.
          "^experiments/sweeps/[^/]+/sweep\\.ts$",
          // Decisions as test/vectors record them, for the engine to agree with; tests hold sim/neurons to them.
          "^sim/(policies/|base/registry\\.ts$)",
          "^sim/neurons/coactivation\\.ts$",
        ],
        reachable: false,
      },
    },
    {
      name: "resolves",
      severity: "error",
      comment: "an import that leads nowhere",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "declared",
      severity: "error",
      comment: "what ships may import only what package.json lists under dependencies",
      from: { pathNot: "^(test/|site/build/|[^/]+\\.config\\.ts$)" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "npm-optional"], dependencyTypesNot: ["type-only"], pathNot: [packages("@types"), "node_modules/vite/client"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    combinedDependencies: false,
    enhancedResolveOptions: { extensions: [".ts", ".js", ".d.ts"], exportsFields: ["exports"], conditionNames: ["import", "types", "node", "default"] },
  },
};
