import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** One file of the project: its path from the top folder, with `/`, and its text. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

const sourceEndings = ['.ts', '.mjs', '.js'];
const skippedFolders = new Set(['node_modules', 'fixtures', 'dist']);

/** Every program file below the given folders of `root`, in the order of their paths. A folder that is not there has none. */
export function readSources(root: string, folders: readonly string[]): Source[] {
  const paths = folders.flatMap((folder) => pathsBelow(join(root, folder)));
  return paths.sort().map((path) => ({ path: relative(root, path), text: readFileSync(path, 'utf8') }));
}

function pathsBelow(folder: string): string[] {
  return listed(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return skippedFolders.has(entry.name) ? [] : pathsBelow(path);
    return sourceEndings.some((ending) => entry.name.endsWith(ending)) ? [path] : [];
  });
}

function listed(folder: string): ReturnType<typeof readEntries> {
  try {
    return readEntries(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

function readEntries(folder: string) {
  return readdirSync(folder, { withFileTypes: true });
}
