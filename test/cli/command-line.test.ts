import { describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { commands } from "../../cli/commands/index.js";
import { readCommandLine } from "../../cli/command-line.js";
import { commandLineProgram } from "../../cli/main.js";
import { execute } from "../../cli/run.js";
import { fake } from "../fakes/capabilities.js";

const KNOWN = commands.map((command) => command.name).join(", ");

const typed = async (...words: ReadonlyArray<string>): Promise<{ code: number; stdout: string; stderr: string }> => {
  const f = fake();
  const code = await execute(commandLineProgram(words, "1.2.3"), f.capabilities);
  return { code, stdout: f.stdout(), stderr: f.stderr() };
};

describe("the command line", () => {
  it("an unknown command names the nearest and all known, with exit 2", async () => {
    expect(await typed("simulte")).toEqual({ code: 2, stdout: "", stderr: `unknown command: simulte; did you mean simulate?\n  known: ${KNOWN}\n` });
  });

  it("takes one letter for a flag that has one, and tells what stands behind it under the long name, once", async () => {
    const read = await readCommandLine(["bench", "--model", "m.gguf", "-p", "512,64", "-r=3", "--n-gen", "8"], commands, "1.2.3");
    expect(E.isRight(read) && read.right._tag === "Chosen" ? read.right.words : read).toEqual({ named: { model: "m.gguf", "n-prompt": "512,64", repetitions: "3", "n-gen": "8" }, extra: [] });
    expect((await typed("bench", "--model", "m.gguf", "-p", "-3")).stderr).toBe("neuronlab bench: 1 mistake\n  --n-prompt: should be a whole number between 0 and 1048576, got -3\n");
    expect((await typed("bench", "--model", "m.gguf", "-p", "1", "--n-prompt", "2")).stderr).toBe("neuronlab bench: 1 mistake\n  --n-prompt: is given 2 times; give it once\n");
  });

  it("shows all commands when nothing is asked, and for --help", async () => {
    for (const words of [[], ["--help"], ["-h"]]) {
      const { code, stdout, stderr } = await typed(...words);
      expect([code, stderr]).toEqual([0, ""]);
      for (const command of commands) expect(stdout).toContain(`neuronlab ${command.name}`);
    }
  });

  it("tells its version", async () => {
    expect(await typed("--version")).toEqual({ code: 0, stdout: "1.2.3\n", stderr: "" });
  });

  it("a flag without a command is refused, with what to type", async () => {
    expect((await typed("--memory", "7GB")).stderr).toBe(`neuronlab: 1 mistake\n  --memory: stands before a command; write it after one of ${KNOWN}\n`);
  });

  it("help of each command shows each of its flags and examples", async () => {
    for (const command of commands) {
      const { code, stdout } = await typed(command.name, "--help");
      expect(code).toBe(0);
      for (const flag of command.flags) expect(stdout).toContain(`--${flag.name} `);
      expect(stdout).toContain("--seed");
      expect(command.examples.length).toBeGreaterThan(0);
      // A long word stands in a line of its own, with what the example is for beside the one above.
      for (const word of command.examples.flatMap(([example]) => example.split(" ").slice(0, 2))) expect(stdout).toContain(word);
      expect(stdout).toContain(`neuronlab ${command.name}`);
    }
  });

  it("the examples in --help use only known commands and flags", async () => {
    for (const command of commands)
      for (const [example] of command.examples) {
        const read = await readCommandLine(example.split(" "), commands, "0");
        expect(read).toMatchObject({ right: { _tag: "Chosen" } });
        if (read._tag !== "Right" || read.right._tag !== "Chosen") continue;
        const chosen = read.right;
        const known = ["format", "seed", ...(chosen.command.positional === undefined ? [] : [chosen.command.positional.key]), ...chosen.command.flags.map((flag) => flag.name)];
        expect(known).toEqual(expect.arrayContaining(Object.keys(chosen.words.named)));
        expect(chosen.words.extra).toEqual([]);
      }
  });

  it.each([
    [["--memory", "-3GB"], { memory: "-3GB" }, []],
    [["--memory", "-.5GB", "--seed", "-1"], { memory: "-.5GB", seed: "-1" }, []],
    [["--memory=-3GB"], { memory: "-3GB" }, []],
    [["--seed", "1", "--", "--memory", "-3GB"], { seed: "1" }, ["--memory", "-3GB"]],
  ])("a negative value is a value: %j", async (flags, named, extra) => {
    expect(await readCommandLine(["simulate", ...flags], commands, "0")).toMatchObject({ right: { words: { named, extra } } });
  });

  it.each([
    [["--memory", "-3GB"], "must not be negative: -3GB"],
    [["--memory", "0GB"], "must be above zero: 0GB"],
    [["--memory", "-0GB"], "must be above zero: -0GB"],
    [["--memory", ""], 'has no value; write it like "19GB" or "19GiB", or all'],
    [["--memory"], 'has no value; write it like "19GB" or "19GiB", or all'],
    [["--memory="], 'has no value; write it like "19GB" or "19GiB", or all'],
    [["--memory", "19"], 'has no unit: 19; write it like "19GB" or "19GiB", or all'],
    [["--memory", "19gb"], 'has an unknown unit "gb"; did you mean GB? known: B, KB, MB, GB, TB, KiB, MiB, GiB, TiB'],
    [["--memory", "19,5GB"], 'is not a quantity: "19,5GB"; write it like "19GB" or "19GiB", or all'],
    [["--memory", "Infinity"], 'is not a quantity: "Infinity"; write it like "19GB" or "19GiB", or all'],
    [["--memory", "NaN"], 'is not a quantity: "NaN"; write it like "19GB" or "19GiB", or all'],
    [["--memory", "1e400GB"], "is not a finite number: 1e400GB"],
    [["--memory", "1GB", "--memory", "2GB"], "is given 2 times; give it once"],
    [["--offload", "50"], "should be between 0% and 100%, got 50; did you mean 50%?"],
    [["--offload", "150%"], "should be between 0% and 100%, got 150%"],
    [["--offload", "-10%"], "should be between 0% and 100%, got -10%"],
    [["--offload", "half"], 'is not a quantity: "half"; write it like 0.4 or "40%"'],
    [["--offload", ""], 'has no value; write it like 0.4 or "40%"'],
    [["--tokens", "1e9"], "should be a whole number between 1 and 1048576, got 1e9"],
    [["--tokens", "many"], "should be a whole number between 1 and 1048576, got many"],
    [["--tokens", ""], "has no value; should be a whole number between 1 and 1048576"],
    [["--tokens", "NaN"], "should be a whole number between 1 and 1048576, got NaN"],
    [["--batch", "0"], "should be a whole number between 1 and 4096, got 0"],
    [["--batch", "2.5"], "should be a whole number between 1 and 4096, got 2.5"],
    [["--prompt", "-1"], "should be a whole number between 1 and 1048576, got -1"],
    [["--prompt", "Infinity"], "should be a whole number between 1 and 1048576, got Infinity"],
    [["--seed", "x"], "should be a whole number between 0 and 4294967295, got x"],
    [["--seed", "0x10"], "should be a whole number between 0 and 4294967295, got 0x10"],
    [["--device", "a", "--device", "b"], "is given 2 times; give it once"],
    [["--device", ""], /^has no value; known: galaxy-s24-ultra, oneplus-12, .*; or a path to your own \.json$/],
    [["--fidelity", "NEURON"], 'should be one of analytic, cluster, neuron, got "NEURON"; did you mean neuron?'],
    [["--fidelity", ""], "has no value; should be one of analytic, cluster, neuron"],
    [["--set", ""], "has no value; write it like overlap=none"],
    [["--set", "overlop=none"], /^overlop: unknown key; did you mean overlap\? allowed: computation, /],
    [["--set", "overlap=some"], 'overlap: should be one of none, matrix, cluster, got "some"; did you mean none?'],
    [["--trace", ""], "has no value; name a file"],
    [["--save", "-"], "stdout is for the answer; name a file (/dev/stdout mixes both, ./- is a file of that name)"],
    [["--devcie", "x"], /^unknown flag; did you mean --device\? known: --device, --model, .*, --format, --seed$/],
    [["--zzzzzzzzzz"], /^unknown flag; known: --device, /],
  ] as ReadonlyArray<[ReadonlyArray<string>, string | RegExp]>)("says what is wrong in %j and what would be right", async (flags, message) => {
    const { code, stderr } = await typed("simulate", ...flags);
    const head = `neuronlab simulate: 1 mistake\n  ${flags[0].replace("=", "")}: `;
    expect([code, stderr.slice(0, head.length)]).toEqual([2, head]);
    if (typeof message === "string") expect(stderr.slice(head.length)).toBe(`${message}\n`);
    else expect(stderr.slice(head.length).trimEnd()).toMatch(message);
  });

  it.each([
    [["reproduce", "--check=yes"], "--check: is a switch and takes no value, got yes"],
    [["reproduce", "--check="], "--check: is a switch and takes no value"],
    [["reproduce", "--no-check"], "--no-check: unknown flag; known: --out, --check, --workers, --format, --seed"],
    [["reproduce", "--out", ""], "--out: has no value; name a folder"],
    [["devices", "oneplus-12", "oneplus-13"], "oneplus-13: nothing is expected here; see neuronlab devices --help"],
    [["trace", "--out", "t.json"], "FILE: is missing"],
    [["doctor", "--workers", "2"], "--workers: unknown flag; known: --format, --seed"],
  ])("refuses %j before anything is done", async (given, line) => {
    expect(await typed(...given)).toEqual({ code: 2, stdout: "", stderr: `neuronlab ${given[0]}: 1 mistake\n  ${line}\n` });
  });

  it("a whole number may be written with an exponent", async () => {
    expect((await typed("simulate", "--tokens", "1e1", "--seed", "2.0", "--fidelity", "analytic", "--format", "json")).code).toBe(0);
  });

  it("all flags before a command are named, and an empty command is no command", async () => {
    expect((await typed("--memory", "7GB", "-x")).stderr).toMatch(/^neuronlab: 2 mistakes\n {2}--memory: stands before a command; write it after one of tour, simulate, .*\n {2}-x: stands before a command; /);
    expect(await typed("")).toEqual({ code: 2, stdout: "", stderr: `neuronlab: 1 mistake\n  (command): is empty; known: ${KNOWN}\n` });
  });

  it("keeps numbers, dots and a leading zero as they were typed", async () => {
    expect(await readCommandLine(["simulate", "--seed", "007", "--memory", "19", "--set", "a.b=c", "--set", "no-x=1"], commands, "0")).toMatchObject({ right: { words: { named: { seed: "007", memory: "19", set: ["a.b=c", "no-x=1"] }, extra: [] } } });
  });
});
