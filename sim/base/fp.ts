/**
 * The only door to fp-ts and io-ts. Under native ESM the short paths ("fp-ts/Either") fail at run time although they
 * type-check; the lib/ paths work under vitest, tsx and plain node alike.
 */
export { pipe, flow, identity } from "fp-ts/lib/function.js";
export * as E from "fp-ts/lib/Either.js";
export * as O from "fp-ts/lib/Option.js";
export * as TE from "fp-ts/lib/TaskEither.js";
export * as T from "fp-ts/lib/Task.js";
export * as RTE from "fp-ts/lib/ReaderTaskEither.js";
export * as A from "fp-ts/lib/ReadonlyArray.js";
export { sequenceS } from "fp-ts/lib/Apply.js";
export type { Either } from "fp-ts/lib/Either.js";
export type { TaskEither } from "fp-ts/lib/TaskEither.js";
export type { ReaderTaskEither } from "fp-ts/lib/ReaderTaskEither.js";
export type { IO } from "fp-ts/lib/IO.js";
