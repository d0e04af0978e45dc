/** Raised when the program itself is wrong. Never caught to go on: the process or its owner stops. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

/** States a condition that only a programmer's mistake can break. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}

/** Ends a `switch` over a union: the type checker proves that it is never reached. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable value: ${String(value)}`);
}

/** The value, which must be there: for places where the surrounding code has already made sure of it. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new AssertionFailure(`${what} is missing`);
  return value;
}
