/** What the replay of one scenario or store came to: one JSON line of the program's output. */
export interface FileResult {
  readonly file: string;
  readonly operations: number;
  readonly mismatches: number;
  /** The first mismatch, or why the file could not be read at all; null when all is as expected. */
  readonly first: string | null;
}

const shownCharactersMax = 200;

/** Counts operations and mismatches of one file. */
export class Tally {
  readonly #file: string;
  #operations = 0;
  #mismatches = 0;
  #first: string | null = null;

  constructor(file: string) {
    this.#file = file;
  }

  /** One operation, and what it should have produced and did: a mismatch unless the two are equal. */
  compare(what: string, expected: string, found: string): void {
    this.#operations++;
    if (expected === found) return;
    this.#mismatches++;
    this.#first ??= `${shown(what)}: expected ${shown(expected)}, found ${shown(found)}`;
  }

  result(): FileResult {
    return { file: this.#file, operations: this.#operations, mismatches: this.#mismatches, first: this.#first };
  }
}

/** The result of an input that says nothing: it counts as a mismatch, so that nobody takes it for a success. */
export function unreadable(file: string, reason: string): FileResult {
  return { file, operations: 0, mismatches: 1, first: `unreadable: ${reason}` };
}

function shown(text: string): string {
  const line = text === '' ? 'nothing' : text;
  return line.length <= shownCharactersMax ? line : `${line.slice(0, shownCharactersMax)}… (${line.length} characters)`;
}
