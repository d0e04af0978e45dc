/** A fault put into the source on purpose, and the test that must notice it. */
export interface Mutant {
  /** Small words with dashes; `--only <name>` runs this one alone. */
  readonly name: string;
  /** Path from the top folder. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly text: string;
  readonly replacement: string;
  /** What no longer holds, in a sentence. */
  readonly breaks: string;
  readonly killer: Killer;
}

/** A test file, and a part of the names of those of its tests that are run. */
export interface Killer {
  readonly file: string;
  readonly test: string;
}

/** The file with the fault in it; undefined when the text is not there exactly once. */
export function mutated(
  source: string,
  { text, replacement }: Pick<Mutant, 'text' | 'replacement'>,
): string | undefined {
  const parts = source.split(text);
  return parts.length === 2 ? parts.join(replacement) : undefined;
}
