import { dirname, join } from 'node:path/posix';
import type { Source } from './source.ts';

/** One import, re-export or `import(…)` of a file, type imports included. */
export interface Import {
  readonly specifier: string;
  /** From 1. */
  readonly line: number;
}

/**
 * Static ones stand at the start of a line, as the formatter has it; a string or comment that looks like one does not.
 * The words between `import` and `from` may run over lines, and hold no quote and no semicolon.
 */
const staticImport = /^(?:import|export)\b(?:[^'";]*?\bfrom)?\s*['"]([^'"\n]+)['"]/gm;
const dynamicImport = /\b(?:import|require)\(\s*['"`]([^'"`\n]+)['"`]/g;

/** Every import of a file, in the order of the lines. */
export function importsOf(source: Source): Import[] {
  const found = [staticImport, dynamicImport].flatMap((pattern) => [...source.text.matchAll(pattern)]);
  return found
    .map((match) => ({ specifier: match[1] ?? '', line: source.text.slice(0, match.index).split('\n').length }))
    .sort((a, b) => a.line - b.line);
}

/** The path that a relative import names, from the project's top folder; `undefined` for a package or a `node:` module. */
export function importedPath(source: Source, specifier: string): string | undefined {
  return specifier.startsWith('.') ? join(dirname(source.path), specifier) : undefined;
}

/** The package that an import names, without the path inside it: `@scope/name` or `name`; `undefined` for `node:` and files. */
export function importedPackage(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return undefined;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
