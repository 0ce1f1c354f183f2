/** The picture that a sweep declares, whatever its kind. */
import { drawIndices, type IndicesFigure } from "./indices.js";
import { drawSweep, type SweepFigure } from "./sweep.js";

export type DeclaredFigure = SweepFigure | IndicesFigure;

export const drawDeclared = (document: Document, figure: DeclaredFigure): string =>
  "panels" in figure ? drawIndices(document, figure) : drawSweep(document, figure);
