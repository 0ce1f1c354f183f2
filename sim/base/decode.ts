/**
 * Decoders for outside data: `unknown` in, a typed value or EVERY mistake out, each with its path. Built on io-ts
 * codecs; two things are ours: unknown keys are refused with the nearest allowed key (io-ts drops them in silence), and
 * each failure carries the sentence that says what would be right.
 */
import * as t from "io-ts";
import { E, type Either } from "./fp.js";
import { badInput, type AppError, type Mistake } from "./errors.js";
import { nearest } from "./nearest.js";

export type Codec<A> = t.Type<A, unknown>;
export type TypeOf<C extends t.Any> = t.TypeOf<C>;

const fail = <A>(value: unknown, context: t.Context, message: string): t.Validation<A> => t.failure(value, context, message);
const show = (value: unknown): string => {
  // JSON has no word for NaN and makes null of it.
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};

/** A codec from a plain function that explains itself on failure. */
export const custom = <A>(name: string, read: (raw: unknown) => Either<string, A>): Codec<A> =>
  new t.Type<A, unknown>(name, (_u): _u is A => true, (raw, context) => {
    if (raw === undefined) return fail(raw, context, "is missing");
    const result = read(raw);
    return E.isLeft(result) ? fail(raw, context, result.left) : t.success(result.right);
  }, (a) => a);

export const text: Codec<string> = custom("text", (raw) => (typeof raw === "string" && raw.trim() !== "" ? E.right(raw) : E.left(`should be a non-empty text, got ${show(raw)}`)));
export const flag: Codec<boolean> = custom("flag", (raw) => (typeof raw === "boolean" ? E.right(raw) : E.left(`should be true or false, got ${show(raw)}`)));

export const number = (low: number, high: number, whole = false): Codec<number> =>
  custom("number", (raw) =>
    typeof raw !== "number" || !Number.isFinite(raw) ? E.left(`should be a number, got ${show(raw)}`)
    : raw < low || raw > high ? E.left(`should be between ${low} and ${high}, got ${raw}`)
    : whole && !Number.isInteger(raw) ? E.left(`should be a whole number, got ${raw}`)
    : E.right(raw));

export const oneOf = <const S extends ReadonlyArray<string>>(...allowed: S): Codec<S[number]> =>
  custom("choice", (raw) => {
    if (typeof raw === "string" && allowed.includes(raw)) return E.right(raw as S[number]);
    const near = typeof raw === "string" ? nearest(raw, allowed) : null;
    return E.left(`should be one of ${allowed.join(", ")}, got ${show(raw)}${near === null ? "" : `; did you mean ${near}?`}`);
  });

export const list = <A>(item: Codec<A>, atLeast = 0): Codec<ReadonlyArray<A>> =>
  new t.Type<ReadonlyArray<A>, unknown>("list", (_u): _u is ReadonlyArray<A> => true, (raw, context) => {
    if (raw === undefined) return fail(raw, context, "is missing");
    if (!Array.isArray(raw)) return fail(raw, context, `should be a list, got ${show(raw)}`);
    if (raw.length < atLeast) return fail(raw, context, `should have at least ${atLeast} entries, got ${raw.length}`);
    const errors: t.Errors = [];
    const values: Array<A> = [];
    raw.forEach((value, i) => {
      const result = item.validate(value, t.appendContext(context, String(i), item, value));
      if (E.isLeft(result)) errors.push(...result.left);
      else values.push(result.right);
    });
    return errors.length > 0 ? t.failures(errors) : t.success(values);
  }, (a) => a);

export const nullable = <A>(inner: Codec<A>): Codec<A | null> =>
  new t.Type<A | null, unknown>("nullable", (_u): _u is A | null => true, (raw, context) => (raw === null ? t.success(null) : inner.validate(raw, context)), (a) => a);

/** A key that may be left out, with the value it then takes. */
export interface Optional<C extends t.Any> { readonly codec: C; readonly otherwise: t.TypeOf<C> }
export const optional = <C extends t.Any>(codec: C, otherwise: t.TypeOf<C>): Optional<C> => ({ codec, otherwise });

type Field = t.Any | Optional<t.Any>;
type FieldType<F> = F extends Optional<infer C> ? t.TypeOf<C> : F extends t.Any ? t.TypeOf<F> : never;
export type Fields = Readonly<Record<string, Field>>;
export type Exact<P extends Fields> = { readonly [K in keyof P]: FieldType<P[K]> };

const isOptional = (field: Field): field is Optional<t.Any> => "otherwise" in field;

/** An object with exactly these keys; an unknown one is refused with the nearest allowed key. */
export const exactly = <P extends Fields>(fields: P): Codec<Exact<P>> => {
  const allowed = Object.keys(fields);
  return new t.Type<Exact<P>, unknown>("object", (_u): _u is Exact<P> => true, (raw, context) => {
    if (raw === undefined) return fail(raw, context, "is missing");
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return fail(raw, context, `should be an object with ${allowed.join(", ")}, got ${show(raw)}`);
    const errors: t.Errors = [];
    const record = raw as Readonly<Record<string, unknown>>;
    for (const key of Object.keys(record)) {
      if (Object.hasOwn(fields, key)) continue;
      const near = nearest(key, allowed);
      errors.push({ value: record[key], context: t.appendContext(context, key, t.unknown, record[key]), message: `unknown key;${near === null ? "" : ` did you mean ${near}?`} allowed: ${allowed.join(", ")}` });
    }
    const values: Record<string, unknown> = {};
    for (const key of allowed) {
      const field = fields[key]!;
      if (isOptional(field) && record[key] === undefined) {
        values[key] = field.otherwise;
        continue;
      }
      const codec: t.Any = isOptional(field) ? field.codec : field;
      const result = codec.validate(Object.hasOwn(record, key) ? record[key] : undefined, t.appendContext(context, key, codec, record[key]));
      if (E.isLeft(result)) errors.push(...result.left);
      else values[key] = result.right;
    }
    return errors.length > 0 ? t.failures(errors) : t.success(values as Exact<P>);
  }, (a) => a);
};

/** One of several forms, told apart by a look at the raw value. */
export const formed = <A>(pick: (raw: unknown) => Codec<A>): Codec<A> =>
  new t.Type<A, unknown>("formed", (_u): _u is A => true, (raw, context) => pick(raw).validate(raw, context), (a) => a);

/** What was decoded, made into something else. */
export const mapped = <A, B>(codec: Codec<A>, make: (value: A) => B): Codec<B> =>
  new t.Type<B, unknown>("mapped", (_u): _u is B => true, (raw, context) => {
    const result = codec.validate(raw, context);
    return E.isLeft(result) ? result : t.success(make(result.right));
  }, (b) => b);

/** A further condition over a decoded value; its mistakes name a path below the value. */
export const refined = <A>(codec: Codec<A>, check: (value: A) => ReadonlyArray<Mistake>): Codec<A> =>
  new t.Type<A, unknown>("refined", (_u): _u is A => true, (raw, context) => {
    const result = codec.validate(raw, context);
    if (E.isLeft(result)) return result;
    const mistakes = check(result.right);
    return mistakes.length === 0 ? result : t.failures(mistakes.map((m) => ({ value: raw, context: t.appendContext(context, m.path, t.unknown, raw), message: m.message })));
  }, (a) => a);

const pathOf = (context: t.Context): string =>
  context.slice(1).reduce((path, entry) => (/^\d+$/.test(entry.key) ? `${path}[${entry.key}]` : path === "" ? entry.key : `${path}.${entry.key}`), "") || "(whole)";

export const mistakesOf = (errors: t.Errors): ReadonlyArray<Mistake> => errors.map((error) => ({ path: pathOf(error.context), message: error.message ?? "is not valid" }));

/** Runs a codec; `where` names the document in the message ("devices/oneplus-12.json"). */
export const decode = <A>(codec: Codec<A>, where: string) => (raw: unknown): Either<AppError, A> => {
  const result = codec.validate(raw, [{ key: "", type: codec, actual: raw }]);
  return E.isLeft(result) ? E.left(badInput(where, mistakesOf(result.left))) : E.right(result.right);
};

/** JSON text to a value, with the parser's own words on failure. */
export const parseJson = (where: string, source: string): Either<AppError, unknown> =>
  E.tryCatch(() => JSON.parse(source) as unknown, (fault) => badInput(where, [{ path: "(whole)", message: `is not JSON: ${fault instanceof Error ? fault.message : String(fault)}` }]));
