import { describe, expect, it } from "vitest";
import { commands } from "../../cli/commands/index.js";
import { readCommandLine } from "../../cli/command-line.js";
import { commandLineProgram } from "../../cli/main.js";
import { execute } from "../../cli/run.js";
import { fake } from "../fakes/capabilities.js";

const typed = async (...words: ReadonlyArray<string>): Promise<{ code: number; stdout: string; stderr: string }> => {
  const f = fake();
  const code = await execute(commandLineProgram(words, "1.2.3"), f.capabilities);
  return { code, stdout: f.stdout(), stderr: f.stderr() };
};

describe("the command line", () => {
  it("an unknown command names the nearest and all known, with exit 2", async () => {
    expect(await typed("simulte")).toEqual({ code: 2, stdout: "", stderr: "unknown command: simulte; did you mean simulate?\n  known: simulate, reproduce, calibrate, devices, models, systems, trace, doctor\n" });
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
    expect((await typed("--memory", "7GB")).stderr).toBe("neuronlab: 1 mistake\n  --memory: stands before a command; write it after one of simulate, reproduce, calibrate, devices, models, systems, trace, doctor\n");
  });

  it("help of each command shows each of its flags and examples", async () => {
    for (const command of commands) {
      const { code, stdout } = await typed(command.name, "--help");
      expect(code).toBe(0);
      for (const flag of command.flags) expect(stdout).toContain(`--${flag.name} `);
      expect(stdout).toContain("--seed");
      expect(command.examples.length).toBeGreaterThan(0);
      for (const [example] of command.examples) expect(stdout.replaceAll(/\s+/g, " ")).toContain(`neuronlab ${example.split(" ").slice(0, 2).join(" ")}`);
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
    [["--memory", ""], 'is empty; write it like "19GB" or "19GiB"'],
    [["--memory", "19gb"], 'has an unknown unit "gb"; did you mean GB? known: B, KB, MB, GB, TB, KiB, MiB, GiB, TiB'],
  ])("says what is wrong with the size in %j", async (flags, message) => {
    // Not the end of the line: simulate adds that "all" would do too.
    expect((await typed("simulate", ...flags)).stderr).toContain(`neuronlab simulate: 1 mistake\n  --memory: ${message}`);
  });

  it("keeps numbers, dots and a leading zero as they were typed", async () => {
    expect(await readCommandLine(["simulate", "--seed", "007", "--memory", "19", "--set", "a.b=c", "--set", "no-x=1"], commands, "0")).toMatchObject({ right: { words: { named: { seed: "007", memory: "19", set: ["a.b=c", "no-x=1"] }, extra: [] } } });
  });
});
