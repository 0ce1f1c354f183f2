/** The phone in the browser: controls, the run, its token and its words for a terminal, redrawn at every change. The state lies in the address. */
import { E } from "../../sim/base/fp.js";
import { describeError } from "../../sim/base/errors.js";
import { make } from "../dom.js";
import { timelineView } from "../timeline-view.js";
import { controls } from "./controls.js";
import { documents, names } from "./documents.js";
import { runOf, tokenOf, type Chosen, type Outcome } from "./run.js";
import { shownRun } from "./show.js";
import { START, stateOf, textOf, type State } from "./state.js";
import { planFileOf, terminalOf } from "./terminal.js";

/** A slider that rests so long is looked at: then the token is drawn. */
const REST_MS = 120;

const download = ({ name, text }: { readonly name: string; readonly text: string }): HTMLAnchorElement =>
  make("a", { download: name, href: `data:application/json;charset=utf-8,${encodeURIComponent(text)}` }, `save ${name}`);

export const phonePage = (): HTMLElement => {
  const run = runOf(documents);
  let state: State = START;
  let chosen: Chosen | null = null;
  let frame = 0;
  let rest: ReturnType<typeof setTimeout> | undefined;
  const shown = shownRun();
  const view = timelineView();
  const token = make("section", { "aria-label": "one token" }, make("h2", {}, "One token"), make("p", { class: "note" }, "Lanes of the phone from the first attention to the last word; a line under a span: it lies on the critical path. Zoom with plus and minus, with Ctrl and the wheel, or with two fingers."), view.element);
  const command = make("code", { id: "command" });
  const files = make("p", { id: "files" });
  const copied = make("span", { role: "status", class: "note" });
  const share = make("button", { type: "button", click: () => void navigator.clipboard.writeText(location.href).then(() => (copied.textContent = "copied"), () => (copied.textContent = "the address line has it")) }, "Copy this state's address");
  const terminal = make("section", { "aria-label": "in a terminal" }, make("h2", {}, "The same in a terminal"), make("pre", {}, command), files, make("p", {}, share, " ", copied));
  const ignored = make("p", { class: "refusal", role: "status" });

  const drawToken = (outcome: Outcome): void => {
    const traced = tokenOf(outcome);
    token.hidden = E.isLeft(traced);
    if (E.isRight(traced)) view.show([{ title: `Token 2 of ${outcome.record.inputs.model} on ${outcome.record.inputs.device}`, lanes: traced.right.lanes.map(({ lane }) => lane), spans: traced.right.spans }]);
  };
  const update = (): void => {
    frame = 0;
    clearTimeout(rest);
    const begin = performance.now();
    const outcome = run(state);
    const tookMs = performance.now() - begin;
    if (E.isRight(outcome)) {
      chosen = outcome.right.chosen;
      shown.show(outcome.right, tookMs);
      rest = setTimeout(() => drawToken(outcome.right), REST_MS);
    } else {
      shown.refuse(describeError(outcome.left));
      token.hidden = true;
    }
    board.show(state, chosen);
    const { command: words, file } = terminalOf(state);
    command.textContent = words;
    files.replaceChildren(...(file === null ? [] : [download(file), " "]), ...(E.isRight(outcome) ? [download(planFileOf(outcome.right)), " for simulate --plan"] : []));
    const text = textOf(state);
    if (location.hash.replace(/^#/, "") !== text) history.replaceState(null, "", text === "" ? location.pathname : `#${text}`);
    document.documentElement.dataset.redrawnMs = String(performance.now() - begin);
    document.documentElement.dataset.state = text;
  };
  const soon = (): void => {
    if (frame === 0) frame = requestAnimationFrame(update);
  };
  const board = controls((moved) => {
    state = { ...state, ...moved };
    soon();
  });
  const fromAddress = (): void => {
    const read = stateOf(location.hash, names);
    state = read.state;
    ignored.textContent = read.ignored.length === 0 ? "" : `Left out of the address: ${read.ignored.join("; ")}`;
    soon();
  };
  addEventListener("hashchange", fromAddress);
  fromAddress();
  return make("div", { class: "phone" }, ignored, board.element, make("div", { class: "results" }, shown.element, token, terminal));
};
