/** What the texts show is found, and each command is run, looked at or told apart. Running them is `npm run shown`. */
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { commands } from "../../cli/commands/index.js";
import { APART } from "./shown/apart.js";
import { shownIn, withoutComment } from "./shown/find.js";
import { plansOf } from "./shown/texts.js";
import { isForm, unknownWords, wordsOf } from "./shown/words.js";

const names = commands.map(({ name }) => name);
const textsOf = (markdown: string): ReadonlyArray<string> => shownIn("x.md", markdown, names).shown.map(({ text }) => text);

describe("commands in a text", () => {
  it("are lines of blocks that say sh, without comments, put together over line ends, with what the block set up", () => {
    const { shown } = shownIn("x.md", "a\n```sh\nB=\"--layers 1\"   # all\nneuronlab synth \\\n  --out x.gguf $B  # small\n\ncp 'a # b' c\nneuronlab simulate --memory 1GB   # exits 3: too little\n```\n", names);
    expect(shown).toEqual([
      { where: "x.md:5", text: "neuronlab synth --out x.gguf $B", before: ['B="--layers 1"'], exit: 0, as: "line" },
      { where: "x.md:7", text: "cp 'a # b' c", before: ['B="--layers 1"'], exit: 0, as: "line" },
      { where: "x.md:8", text: "neuronlab simulate --memory 1GB", before: ['B="--layers 1"'], exit: 3, as: "line" },
    ]);
  });

  it("are inline code that begins like one, over a line's end but not over a paragraph's", () => {
    expect(textsOf("`npx neuronlab\ntour` and `results show io-lanes`, `simulate --tokens 4`, `simulate`, `neuronlab-measure`, `node/`, `a\n\nnpm ci` x")).toEqual(["npx neuronlab tour", "neuronlab results show io-lanes", "neuronlab simulate --tokens 4"]);
    expect(textsOf("| `npm ci` | `npm run types`, ``npm test`` |")).toEqual(["npm ci", "npm run types"]);
  });

  it("in a block that does not say that it holds commands are a mistake", () => {
    expect(shownIn("x.md", "```\nneuronlab probe   half a minute\nsim:  base\n```\n```json\nnpm\n```\n", names).unmarked).toEqual([{ where: "x.md:2", text: "neuronlab probe   half a minute" }]);
  });

  it("end before a comment, which is no sign within a word or in quotes", () => {
    expect(["a#b # c", "a '# b' \"# c\" # d", "# all"].map(withoutComment)).toEqual(["a#b", "a '# b' \"# c\"", ""]);
  });
});

describe("the words of a command", () => {
  it("are split as a shell splits them", () => {
    expect(wordsOf(`a  'b c' "d 'e'" f'g h' ''`)).toEqual(["a", "b c", "d 'e'", "fg h", ""]);
  });

  it("make it a form where one stands for another, or a flag lacks its value", () => {
    const form = isForm(commands);
    for (const text of ["neuronlab pack FILE --out x", "neuronlab results diff A B", "neuronlab tune …", "neuronlab generate --plan", "neuronlab generate --plan --audit", "neuronlab sweep x/<id>/sweep.ts"]) expect([text, form(text)]).toEqual([text, true]);
    for (const text of ["neuronlab tune --objective J/token", "neuronlab generate --prompt 'Once' --seed 7", "neuronlab reproduce --check", "neuronlab bench --model m.gguf -t 1,2"]) expect([text, form(text)]).toEqual([text, false]);
  });

  it("that no command has are found, and those for another program are left to it", () => {
    const unknown = unknownWords(commands);
    expect(unknown("npx neuronlab simulat --tokens 4")).toEqual(["there is no command simulat"]);
    expect(unknown("neuronlab simulate --tokns 4 && neuronlab devices --help")).toEqual(["simulate has no --tokns"]);
    expect(unknown("neuronlab bench --model m.gguf -p 0 -z 3 --baseline-args '-fa off'")).toEqual(["bench has no -z"]);
  });
});

describe("every command that the texts show", () => {
  const { plans, mistakes } = plansOf(resolve(import.meta.dirname, "../.."), commands, APART);

  it("names commands, flags and files that are there, and stands in no unmarked block", () => {
    expect(mistakes.map(({ where, what }) => `${where}: ${what}`)).toEqual([]);
  });

  it("is found in README, docs and --help", () => {
    for (const path of ["README.md", "docs/sweeps.md", "docs/new-phone.md", "--help"]) expect([path, plans.find((plan) => plan.path === path)!.runs.length > 2]).toEqual([path, true]);
    expect(plans.reduce((sum, { runs }) => sum + runs.length, 0)).toBeGreaterThan(100);
  });
});
