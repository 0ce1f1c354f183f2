import type { Coordinates } from "../constraint.js";

/** The coordinate that says which draw of the uncertain facts a point is of; 0 is the profiles as they are. */
export const DRAW = "draw";

export const withoutDraw = (at: Coordinates): Coordinates => Object.fromEntries(Object.entries(at).filter(([name]) => name !== DRAW));
