/** Elements in one expression. Text is text: nothing here parses HTML. */
type Attribute = string | number | boolean | ((event: Event) => void);
type Child = Node | string | null;

export const make = <K extends keyof HTMLElementTagNameMap>(name: K, attributes: Readonly<Record<string, Attribute>> = {}, ...children: ReadonlyArray<Child>): HTMLElementTagNameMap[K] => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false) made.setAttribute(key, String(value));
  }
  made.append(...children.filter((child) => child !== null));
  return made;
};
