/** A longer copy of a typed array; what is new holds zeros. */
export const widened = <A extends Float64Array | Int32Array | Int8Array>(from: A, length: number): A => {
  const to = new (from.constructor as new (length: number) => A)(length);
  to.set(from);
  return to;
};
