/** A copy of the working tree to break things in. */
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type Mutant, mutated } from './mutant.ts';

/** What is made, not written: the packages are linked, the rest is not needed. */
const leftOut = new Set(['node_modules', '.git', 'dist', 'data', 'coverage']);

export class TreeCopy {
  readonly root: string;
  /** For all temporary files of the tests that run in it. */
  readonly temporary: string;

  private constructor(place: string) {
    this.root = join(place, 'tree');
    this.temporary = join(place, 'temporary');
  }

  /** Copies the tree at `from`, as it is now, into the empty directory `place`. */
  static async make(from: string, place: string): Promise<TreeCopy> {
    const copy = new TreeCopy(place);
    await mkdir(copy.temporary);
    await cp(from, copy.root, { recursive: true, filter: (path) => !leftOut.has(relative(from, path)) });
    await symlink(join(from, 'node_modules'), join(copy.root, 'node_modules'));
    return copy;
  }

  /** Runs the work with the mutant's fault in the copy; undefined, and no work done, when its text is not there once. */
  async withFault<T>(mutant: Mutant, work: () => Promise<T>): Promise<T | undefined> {
    const path = join(this.root, mutant.file);
    const source = await readFile(path, 'utf8').catch(() => '');
    const broken = mutated(source, mutant);
    if (broken === undefined) return undefined;
    await writeFile(path, broken);
    try {
      return await work();
    } finally {
      await writeFile(path, source);
    }
  }
}
