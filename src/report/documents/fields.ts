import * as v from "valibot";

// What --json prints, as schemas: they type the documents where they are made, a test holds real outputs against them, and
// docs/json.md is written from them.

/** A value that may be left out. */
export const maybe = v.optional;

/** A field with its meaning. */
export function is<S extends v.GenericSchema>(schema: S, meaning: string) {
  return v.pipe(schema, v.description(meaning));
}

export const text = v.string();
/** JSON has no Infinity: a number that is none is null. */
export const number = v.number();
export const count = v.pipe(v.number(), v.integer(), v.minValue(0));
export const flag = v.boolean();

export const schema = is(v.literal(1), "grows when a reader of the old form would go wrong");
export const seconds = is(number, "time it took");
export const bytes = is(count, "bytes");

/** A mean with its standard error. */
export const estimate = v.strictObject({
  value: number,
  error: is(number, "standard error"),
});
