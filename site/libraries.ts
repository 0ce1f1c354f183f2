/** What cells of a notebook may name without an import. The kit's own list loads each of them from a server; a page here loads nothing from anywhere, and imports what it needs. */
export const none = (): null => null;
