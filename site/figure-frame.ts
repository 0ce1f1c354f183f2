/**
 * A picture between its title and its caption. Pictures of the command line are 640 px wide, letters of a size to be read: on a screen that is narrower
 * they scroll, each in a frame of its own that says so, and what has to be read whole (title, subtitle, caption) stands outside of the frame.
 */
import { make } from "./dom.js";

export const SIDEWAYS = "Wider than this screen: scroll it sideways.";

const isHeading = ":scope > .heading";
/** Pictures of earlier versions mark nothing; only titles are that large there. */
const isLarge = ':scope > text[font-size="15"][font-weight="bold"]';

export interface Headed { readonly title: string; readonly subtitle: string; readonly picture: Element }

/** Lines are joined again as they were before they were broken. */
const wordsOf = (lines: ReadonlyArray<Element>): string => lines.map(({ textContent }) => textContent?.trim() ?? "").join(" ");

/** Takes the heading off a picture of ours, and the room that it had at the top. What has none stays as it is. */
export const headed = (picture: Element): Headed => {
  const marked = [...picture.querySelectorAll(isHeading)];
  const lines = marked.length > 0 ? marked : [...picture.querySelectorAll(isLarge)];
  const [, , width, height] = (picture.getAttribute("viewBox") ?? "").split(" ").map(Number);
  if (lines.length === 0 || width === undefined || height === undefined) return { title: "", subtitle: "", picture };
  const [title, subtitle] = [lines.filter((line) => line.getAttribute("font-weight") === "bold"), lines.filter((line) => line.getAttribute("font-weight") !== "bold")].map(wordsOf) as [string, string];
  // A line's letters reach four pixels below its base.
  const top = Math.max(...lines.map((line) => Number(line.getAttribute("y")))) + 4;
  for (const line of lines) line.remove();
  picture.setAttribute("viewBox", `0 ${top} ${width} ${height - top}`);
  picture.setAttribute("height", String(height - top));
  return { title, subtitle, picture };
};

/** What may be wider than its place, in a frame that scrolls, can be reached with keys, and says at which side there is more. */
export const sideways = (label: string, inner: Node): ReadonlyArray<HTMLElement> => {
  const told = make("p", { class: "sideways", hidden: true }, SIDEWAYS);
  const drawn = make("div", { class: "drawn", tabindex: 0, role: "group", "aria-label": label }, inner);
  const frame = make("div", { class: "frame" }, drawn);
  const look = (): void => {
    const beyond = drawn.scrollWidth - drawn.clientWidth;
    told.hidden = beyond <= 1;
    frame.classList.toggle("more-left", beyond > 1 && drawn.scrollLeft > 1);
    frame.classList.toggle("more-right", beyond > 1 && drawn.scrollLeft < beyond - 1);
  };
  const watching = new ResizeObserver(look);
  watching.observe(drawn);
  if (inner instanceof Element) watching.observe(inner);
  drawn.addEventListener("scroll", look, { passive: true });
  return [told, frame];
};

/** `label` is what the frame is called for those who do not see it. */
export const figureOf = ({ title, subtitle, picture, label }: { readonly title: string; readonly subtitle: string; readonly picture: Node; readonly label: string }, ...below: ReadonlyArray<Node>): HTMLElement =>
  make("figure", {}, title === "" ? null : make("h3", { class: "title" }, title), subtitle === "" ? null : make("p", { class: "subtitle" }, subtitle), ...sideways(label, picture), ...below);
