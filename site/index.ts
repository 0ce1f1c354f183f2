/** The start page's list of pages. */
import { make } from "./dom.js";
import { PAGES } from "./pages.js";

export const pageCards = (): HTMLElement =>
  make("ul", { class: "cards" }, ...PAGES.filter(({ about }) => about !== "").map(({ file, name, about }) => make("li", {}, make("a", { href: `./${file}` }, name), make("p", {}, about))));
