import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { codeOf, messageOf } from '../../src/base/errors.ts';

const run = promisify(execFile);
const mib = 1024 * 1024;

/** A file system in memory, of a fixed size, that can be filled and emptied. Needs the right to mount. */
export class SmallVolume implements AsyncDisposable {
  readonly path: string;
  readonly #ballast: string;

  private constructor(path: string) {
    this.path = path;
    this.#ballast = join(path, 'ballast');
  }

  static async mount(path: string, sizeMib: number): Promise<SmallVolume> {
    await mkdir(path, { recursive: true });
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'tmpfs', path]);
    return new SmallVolume(path);
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.path);
    return bavail * bsize;
  }

  /** Takes space away until so much is left, or less: others write, too. */
  async fill(leftBytes: number): Promise<void> {
    for (;;) {
      const size = Math.min(mib, (await this.freeBytes()) - leftBytes);
      if (size <= 0) return;
      await writeFile(this.#ballast, Buffer.alloc(size), { flag: 'a' }).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOSPC') throw error;
      });
    }
  }

  /** Gives the space back. */
  async free(): Promise<void> {
    await rm(this.#ballast, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', ['--lazy', this.path]);
  }
}

/** Why no file system can be mounted here. */
export async function whyNoSmallVolume(): Promise<string | undefined> {
  const path = await mkdtemp(join(tmpdir(), 'permafrost-mount-'));
  try {
    await using _volume = await SmallVolume.mount(path, 1);
    return undefined;
  } catch (error) {
    return `no file system can be mounted here: ${messageOf(error).split('\n')[1] ?? messageOf(error)}`;
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}
