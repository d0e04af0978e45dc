/**
 * The rules of the house that neither compiler nor linter knows. Each takes the project's files and gives back one line
 * for each breach.
 */
import { importedPackage, importsOf } from './imports.ts';
import type { Source } from './source.ts';

export const linesMax = 500;

/** Modules that only the named places of `src` may import; a place is a file or, with `/` at its end, a folder. */
const homes: ReadonlyMap<string, readonly string[]> = new Map([
  ['crc-32', ['src/codec/crc32c.ts']],
  ['@node-rs/crc32', ['src/codec/crc32c.ts']],
  ['node:fs', ['src/disk/', 'src/queue/connection.ts', 'src/service/', 'src/cli/']],
  ['node:fs/promises', ['src/service/', 'src/cli/']],
  ['node:sqlite', ['src/shard/owner-lock.ts']],
  ['bullmq', ['src/queue/', 'src/client/', 'src/jobs/', 'src/service/', 'src/cli/']],
  ['ioredis', ['src/queue/', 'src/client/', 'src/jobs/', 'src/service/', 'src/cli/']],
  ['convict', ['src/service/']],
  ['pino', ['src/service/']],
  ['prom-client', ['src/service/']],
]);

/** Names that say what kind of thing a file holds instead of what it is about. */
const emptyNames = new Set(['utils', 'util', 'helpers', 'helper', 'types', 'common', 'misc', 'shared', 'interfaces']);

/**
 * What waits for a time instead of an event. A limit on a wait is no sleep (`AbortSignal.timeout`, `--test-timeout`), nor is
 * an interval that does nothing but keep its process alive.
 */
const sleeps = [
  /\bsetTimeout\(/,
  /\bsetInterval\((?!\(\) => \{\})/,
  /['"](?:node:)?timers\/promises['"]/,
  /\bAtomics\.wait\(/,
];

/** Comments that switch off a rule which this house does not bend. */
const switchedOff = [
  /@ts-(?:ignore|nocheck)\b/,
  /biome-ignore(?:-\w+)? lint\/\w+\/(?:noExplicitAny|noNonNullAssertion|noEnum|noDefaultExport|noFloatingPromises)\b/,
];

/** Files of more than `linesMax` lines. */
export function tooLong(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text }) => {
    const count = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
    return count > linesMax ? [`${path}: ${count} lines, at most ${linesMax}`] : [];
  });
}

/** Files and folders with a name that says nothing. */
export function emptyNamed(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path }) => {
    const words = path.split('/').map((part) => part.replace(/\..*$/, ''));
    const found = words.find((word) => emptyNames.has(word));
    return found === undefined ? [] : [`${path}: '${found}' does not say what it is about`];
  });
}

/** Modules imported outside the places that own them. */
export function outsideHome(sources: readonly Source[]): string[] {
  return inSrc(sources).flatMap((source) =>
    importsOf(source).flatMap(({ specifier, line }) => {
      const module = importedPackage(specifier) ?? specifier;
      const places = homes.get(module);
      const allowed = places?.some((place) =>
        place.endsWith('/') ? source.path.startsWith(place) : source.path === place,
      );
      if (places === undefined || allowed === true) return [];
      return [`${source.path}:${line}: ${module} is for ${places.join(', ')} only`];
    }),
  );
}

/** Packages that `src` imports though they do not come with the published package. */
export function undeclaredPackages(sources: readonly Source[], dependencies: ReadonlySet<string>): string[] {
  return inSrc(sources).flatMap((source) =>
    importsOf(source).flatMap(({ specifier, line }) => {
      const name = importedPackage(specifier);
      if (name === undefined || dependencies.has(name)) return [];
      return [`${source.path}:${line}: ${name} is not among the dependencies in package.json`];
    }),
  );
}

/** Tests, and what only tests use, that wait for a time. */
export function sleeping(sources: readonly Source[]): string[] {
  const tests = sources.filter(({ path }) => path.startsWith('test/'));
  return matching(tests, sleeps, 'waits for a time; wait for an event or use a manual clock');
}

/** Errors thrown by `src` without a code. The formats of settings are left out: convict takes their text and adds the rest. */
export function codelessErrors(sources: readonly Source[]): string[] {
  const others = inSrc(sources).filter(({ path }) => path !== 'src/service/config-formats.ts');
  return matching(others, [/\bthrow new Error\(/], 'throws an error without a code; use a PermafrostError');
}

/** Comments that silence the compiler or a rule that has no exceptions. */
export function silenced(sources: readonly Source[]): string[] {
  return matching(sources, switchedOff, 'switches off a rule that has no exceptions');
}

function matching(sources: readonly Source[], patterns: readonly RegExp[], what: string): string[] {
  return sources.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => {
      return patterns.some((pattern) => pattern.test(line)) ? [`${path}:${index + 1}: ${what}: ${line.trim()}`] : [];
    }),
  );
}

function inSrc(sources: readonly Source[]): Source[] {
  return sources.filter(({ path }) => path.startsWith('src/'));
}
