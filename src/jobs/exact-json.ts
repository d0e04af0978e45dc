/** `JSON.parse` tells a reviver how a number was written; the library's own types do not know it yet. */
type Reviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown;
interface ExactJson {
  parse(text: string, reviver: Reviver): unknown;
  rawJSON(text: string): object;
}

/** What the text says. A number that a JavaScript number cannot hold stays as it is written, for `JSON.stringify`. */
export function parseExactly(text: string): unknown {
  const json = JSON as unknown as ExactJson;
  return json.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && !isHeld(value, source) ? json.rawJSON(source) : value,
  );
}

/** Whether the number says all that was written: any fifteen digits do. */
function isHeld(value: number, source: string): boolean {
  return String(value) === source || (Number.isFinite(value) && source.replace(/\D/g, '').length <= 15);
}
