/** Flags of every command that runs a model in the engine; programs/generate/engine-setting.ts reads them. */
import type { Flag } from "../command.js";

export const planFlag: Flag = { name: "plan", value: "FILE", help: "a plan, as simulate --save-plan or tune writes it; flags beside it win, and what cannot be mapped onto this machine is said" };

/** Of those that generate token by token. */
export const preloadFlag: Flag = { name: "preload", value: null, help: "fill the neuron cache from the file before the first token, as far as the budget goes; without it a text without a prompt begins with an empty one (in a comparison: where the page cache is warm)" };

export const settingFlags: ReadonlyArray<Flag> = [
  { name: "lanes", value: "N", help: "read from flash by so many threads, as an Android app has to" },
  { name: "io-uring", value: "DEPTH", help: "read through io_uring, so many reads in flight; where the kernel refuses, by lanes, and the result says so (default: 64)" },
  { name: "pin", value: "CORES", help: "bind compute threads to these cores, such as 0,1; as many threads as cores (default: not bound)" },
  { name: "pin-io", value: "CORE", help: "bind the threads that only read to this core (default: not bound)" },
  { name: "shape-flash", value: "DEVICE", help: "slow reads down to the flash of a device (a name, or a path to your own .json): a real run as if on that phone's storage" },
  { name: "depth", value: "N", help: "neuron clusters in flight (default: 16)" },
  { name: "cluster", value: "N", help: "neurons of a cluster (default: 256)" },
  { name: "policy", value: "NAME", help: "what leaves the cold segment first: lru, window, static-hot, clock, lfu, s3-fifo, sieve or arc (default: lru)" },
  { name: "granularity", value: "UNIT", help: "unit of loading: tensor, expert, matrix, cluster or neuron (default: neuron)" },
  { name: "overlap", value: "WHAT", help: "which work may overlap a read: none, matrix or cluster (default: cluster)" },
  { name: "gates", value: "HOW", help: "gate rows that are not in memory: apart (fewest bytes), joined over what lies between, or whole bundles, from which up and down are taken (fewest reads); at granularity neuron, bundles with overlap cluster (default: joined)" },
  { name: "ffn", value: "HOW", help: "FFNs in memory: dense, sparse, or auto by the model's activation (default: auto)" },
];
