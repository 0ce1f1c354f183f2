/** Commands that a text shows: lines of ```sh blocks, and inline code that begins like a command. */

/** One command as it stands in a text. `before` is what the same block set up for it: variables, and the folder gone to. */
export interface Shown {
  readonly where: string;
  readonly text: string;
  readonly before: ReadonlyArray<string>;
  /** 0, or what the comment behind it says: `# exits 3, because …`. */
  readonly exit: number;
  /** `line`: of a block. `words`: inline, typed whole. `short`: inline, without the program's name. */
  readonly as: "line" | "words" | "short";
}

/** A block whose lines look like commands and that does not say so: its reader cannot tell, and neither can this. */
export interface Unmarked { readonly where: string; readonly text: string }

/** Words that begin a command of a shell, whatever follows. */
const PROGRAMS = /^(?:npx|npm|node|neuronlab|cargo|rustup|adb|fio|cp|cd|python3|engine\/\S+\.(?:sh|mjs)|bash|PYTHON=\S+|CARGO\w*=\S+)(?: |$)/;
/** Inline, a package manager's line that installs what is optional, and the like, are shown too; a bare program's name is no command. */
const INLINE = /^(?:(?:npx|npm|node|cargo|rustup|adb|fio|cp|python3|apt-get|bash) |neuronlab(?: [a-z]|$)|engine\/\S+\.sh$)/;

/** The words before a comment: a `#` after a blank, outside of quotes. */
export const withoutComment = (line: string): string => {
  let quote = "";
  for (let i = 0; i < line.length; i++) {
    const sign = line[i]!;
    if (quote !== "") quote = sign === quote ? "" : quote;
    else if (sign === "'" || sign === '"') quote = sign;
    else if (sign === "#" && (i === 0 || /\s/.test(line[i - 1]!))) return line.slice(0, i).trim();
  }
  return line.trim();
};

const ofBlock = (lines: ReadonlyArray<{ readonly where: string; readonly text: string }>): ReadonlyArray<Shown> => {
  const shown: Array<Shown> = [];
  const before: Array<string> = [];
  let kept = "";
  for (const { where, text } of lines) {
    const line = withoutComment(text);
    if (line.endsWith("\\")) {
      kept += `${line.slice(0, -1).trim()} `;
      continue;
    }
    const whole = `${kept}${line}`.trim();
    kept = "";
    if (whole === "") continue;
    if (/^(?:\w+=(?:"[^"]*"|\S*)|cd \S+|export \w+=\S*)$/.test(whole)) before.push(whole);
    else shown.push({ where, text: whole, before: [...before], exit: Number(/#.*\bexits (\d+)/.exec(text)?.[1] ?? 0), as: "line" });
  }
  return shown;
};

/** What a subcommand's name alone begins, such as `results show io-lanes`: its own name, then a word or a flag. */
const subcommand = (commands: ReadonlyArray<string>) => (code: string): boolean => {
  const [first, second] = code.split(" ");
  return commands.includes(first!) && second !== undefined && (second.startsWith("--") || (first === "results" && /^(?:list|show|diff|export|query)$/.test(second)));
};

/** All that a Markdown text shows, in its order; and blocks that should say that they are commands. */
export const shownIn = (path: string, markdown: string, commands: ReadonlyArray<string>): { readonly shown: ReadonlyArray<Shown>; readonly unmarked: ReadonlyArray<Unmarked> } => {
  const isSubcommand = subcommand(commands);
  const shown: Array<Shown> = [];
  const unmarked: Array<Unmarked> = [];
  let prose: { readonly from: number; readonly lines: Array<string> } = { from: 1, lines: [] };
  let block: { readonly language: string; readonly lines: Array<{ readonly where: string; readonly text: string }> } | null = null;
  const endProse = (): void => {
    // Code may go over the end of a line, but not over that of a paragraph.
    const text = prose.lines.join("\n");
    for (const match of text.matchAll(/(?<!`)`((?:[^`\n]|\n(?!\s*\n))+)`(?!`)/g)) {
      const code = match[1]!.replace(/\s+/g, " ").trim();
      const where = `${path}:${prose.from + text.slice(0, match.index).split("\n").length - 1}`;
      if (INLINE.test(code)) shown.push({ where, text: code, before: [], exit: 0, as: "words" });
      else if (isSubcommand(code)) shown.push({ where, text: `neuronlab ${code}`, before: [], exit: 0, as: "short" });
    }
  };
  markdown.split("\n").forEach((line, i) => {
    const fence = /^\s*```(\S*)/.exec(line);
    if (fence === null) {
      if (block === null) prose.lines.push(line);
      else block.lines.push({ where: `${path}:${i + 1}`, text: line });
      return;
    }
    if (block === null) {
      endProse();
      block = { language: fence[1]!, lines: [] };
      return;
    }
    if (/^(?:sh|bash|shell|console)$/.test(block.language)) shown.push(...ofBlock(block.lines));
    else if (block.language === "") unmarked.push(...block.lines.filter(({ text }) => PROGRAMS.test(text)).map(({ where, text }) => ({ where, text: text.trim() })));
    block = null;
    prose = { from: i + 2, lines: [] };
  });
  endProse();
  return { shown, unmarked };
};
