/** Pictures are drawn as wide as their place, and again when that changes. */
export const atItsWidth = (place: HTMLElement, draw: (width: number) => void, least = 300): void => {
  let before = 0;
  new ResizeObserver((entries) => {
    const width = Math.max(least, Math.floor(entries[0]?.contentRect.width ?? 0));
    if (width === before) return;
    before = width;
    draw(width);
  }).observe(place);
};
