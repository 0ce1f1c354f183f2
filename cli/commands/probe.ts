import type { Command } from "../command.js";

export const probeCommand: Command = {
  name: "probe",
  summary: "Measure this machine: kernels by core, memory, flash, page faults, threads; writes the device profile this-host",
  flags: [
    { name: "quick", value: null, help: "under half a minute, with fewer cells and turns, instead of some minutes" },
    { name: "out", value: "FILE", help: "write the profile there instead of as this-host in the user's cache" },
    { name: "dir", value: "FOLDER", help: "where the scratch file lies, on the storage that models are read from (default: this folder); nothing of it is left" },
    { name: "scratch", value: "SIZE", help: "size of the scratch file, the widest range of addresses that is read over (default: 4GiB; with --quick 512MiB)" },
    { name: "only", value: "PART", help: "kernels, threads, memory or flash: show the tables of that part; writes nothing, since a profile needs all" },
  ],
  examples: [
    ["probe --quick", "measure, and write the profile that simulate --device this-host reads"],
    ["probe --dir /mnt/models --out laptop.json", "another disk, and a file of your own: simulate --device laptop.json"],
    ["probe --only flash --format json", "the flash curve alone, as rows"],
  ],
  load: async () => (await import("../programs/probe/probe.js")).probeProgram(probeCommand),
};
