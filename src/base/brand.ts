declare const brand: unique symbol;

/** A `T` that must not be mixed with other `T`s: the name exists for the type checker only. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
