/**
 * A disk in memory that can lose what was not made durable, for tests of crashes and failures.
 *
 * The fault model:
 *
 * - **Steps.** Every operation that changes something (each write of a list by itself, truncate, sync, create, remove,
 *   rename, the operations on directories) is one numbered step. A crash before a step is a crash point; between two
 *   steps nothing changes.
 * - **File data.** A write or truncate is readable at once and durable when a sync of the file succeeds that was issued
 *   after it. Until then a power loss may keep it, drop it, or keep any of its sectors and not the others (sectors of
 *   512 or 4096 bytes, and of 1 and 16 so that small files tear too). Bytes that were not written never change. There
 *   is no order: a later write may survive when an earlier one does not, in one file and between files.
 * - **File size.** It is written apart from the data, by whichever of the changes reached the disk last: a file may
 *   have grown and hold zeros, or hold data and not have grown (they are not seen then); a cut may have taken the
 *   size and not the bytes, which show again if the file grows.
 * - **Names.** Creating, removing and renaming are durable when a sync of the directory succeeds that was issued after
 *   them; until then each may be lost alone. A file without a durable name is gone, even if its bytes were synced; a
 *   removed one may be back. A rename inside one directory is atomic, one between directories is two changes.
 * - **Failed sync of a file.** What it covered stays readable and counts as written: a later sync succeeds and does
 *   nothing for it. On the platter it may be there, not be there, or be torn, until the same bytes are written and
 *   synced again. (Kernels do this by the page; here it is by the byte, which is worse.) The same holds when a process
 *   is killed and the next one reads. After a failed sync of a directory its changes stay undone on the platter, and
 *   a later sync can still make them durable: file systems journal names, or stop altogether.
 * - **Kill of the process.** Everything stays readable and keeps its state: written, synced or lost by a failed sync.
 * - **Other faults** come from `failAt`: errors, short reads and writes, reads and writes at a wrong place.
 *
 * Not modelled: disks that lie about a sync, damage of bytes that were not being written (use `mutate`), limits of
 * descriptors, permissions, hard links.
 */
import { assert } from '../../src/base/assert.ts';
import type { Disk, DiskFile, DiskStat } from '../../src/disk/disk.ts';
import { Content } from './content.ts';
import {
  type ArmedFault,
  type Fault,
  failAs,
  failWhenFaulty,
  Gate,
  type Hold,
  type Logged,
  type OperationFilter,
  type StepWatcher,
} from './gate.ts';
import { Random } from './random.ts';
import { SimulatedDirectory, type SimulatedNode } from './simulated-directory.ts';
import { SimulatedFile } from './simulated-file.ts';
import { SimulatedHandle } from './simulated-handle.ts';
import type { Survival } from './survival.ts';
import { treeAfter } from './surviving-tree.ts';

export interface SimulatedDiskOptions {
  /** Delays every operation by a random number of microtasks: side by side, they overtake each other. */
  readonly jitterSeed?: number;
}

export class SimulatedDisk implements Disk {
  readonly #root: SimulatedDirectory;
  readonly #gate: Gate;
  readonly #handles = new Set<SimulatedHandle>();

  constructor(options: SimulatedDiskOptions = {}, root = new SimulatedDirectory()) {
    this.#root = root;
    this.#gate = new Gate(options.jitterSeed === undefined ? undefined : new Random(options.jitterSeed));
  }

  /** A disk that holds these files, durably. */
  static of(files: ReadonlyMap<string, Uint8Array>): SimulatedDisk {
    const disk = new SimulatedDisk();
    for (const [path, bytes] of files) disk.place(path, bytes);
    return disk;
  }

  /** Steps that took effect. */
  get steps(): number {
    return this.#gate.steps;
  }

  /** Whether a fault has ended it. */
  get crashed(): boolean {
    return this.#gate.crashed;
  }

  /** Every operation that took effect or failed, in order. */
  get log(): readonly Logged[] {
    return this.#gate.log;
  }

  /** Paths of the handles that were not closed. */
  get openHandles(): readonly string[] {
    return [...this.#handles].map((handle) => handle.path);
  }

  /** Paths of all files, sorted. */
  files(): string[] {
    return [...this.#allFiles()].map(([path]) => path).sort();
  }

  /** What a reader would see now. */
  snapshot(): Map<string, Buffer> {
    return new Map(this.files().map((path) => [path, this.bytesOf(path)]));
  }

  /** What a reader of one file, which exists, would see now. */
  bytesOf(path: string): Buffer {
    return this.#existingFile(path).toBuffer();
  }

  /** How many changes of files and names a power loss could take back. */
  get undurableCount(): number {
    let count = 0;
    for (const directory of this.#allDirectories()) count += directory.undurableCount;
    for (const [, file] of this.#allFiles()) count += file.undurableCount;
    return count;
  }

  /**
   * Strikes operations with a fault: the one with this step number, or those that the filter accepts (it sees reads
   * too), `times` of them, one if not given. Of several armed faults the first that fits strikes.
   */
  failAt(when: number | OperationFilter, fault: Fault, times = 1): ArmedFault {
    const matches = typeof when === 'number' ? (operation: Logged) => operation.step === when : when;
    return this.#gate.arm(matches, fault, times);
  }

  /** Makes the operations that the filter accepts wait before they take effect, until the hold is released. */
  hold(filter: OperationFilter): Hold {
    return this.#gate.hold(filter);
  }

  /** Calls `watch` before each step takes effect; at most one watcher. */
  watchSteps(watch: StepWatcher | undefined): void {
    this.#gate.beforeStep = watch;
  }

  /** The disk that is found after a crash at this moment. This one does not change. */
  crash(survival: Survival): SimulatedDisk {
    return new SimulatedDisk({}, treeAfter(survival, this.#root));
  }

  /** A disk in the same state, with what is not durable; without handles, faults, holds and log. */
  clone(): SimulatedDisk {
    return this.crash('all');
  }

  /** Puts a file in place, durably and without a step; missing directories are made, a present file is replaced. */
  place(path: string, bytes: Uint8Array): void {
    const { parent, name } = this.#placeFor(path);
    const present = parent.get(name);
    if (present?.kind === 'file') present.replace(bytes);
    else parent.replace(name, new SimulatedFile(Content.of(bytes)));
  }

  /** Changes a file behind everybody's back, durably and without a step; `undefined` takes it away. */
  mutate(path: string, change: (bytes: Buffer) => Uint8Array | undefined): void {
    const file = this.#existingFile(path);
    const changed = change(file.toBuffer());
    if (changed !== undefined) file.replace(changed);
    else this.#placeFor(path).parent.replace(this.#placeFor(path).name, undefined);
  }

  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    const kind = options.create && this.#find(path) === undefined ? 'create' : 'open';
    const where = { operation: 'open', path };
    return this.#gate.run({ kind, path }, (fault) => {
      failWhenFaulty(fault, where);
      const file = this.#find(path) ?? (options.create ? this.#created(path) : failAs('ENOENT', 'no such file', where));
      if (file.kind !== 'file') failAs('EISDIR', 'is a directory', where);
      const handle = new SimulatedHandle(path, file, this.#gate, (closed) => this.#handles.delete(closed));
      this.#handles.add(handle);
      return handle;
    });
  }

  stat(path: string): Promise<DiskStat | undefined> {
    return this.#gate.run({ kind: 'stat', path }, (fault) => {
      failWhenFaulty(fault, { operation: 'stat', path });
      const node = this.#findBelowDirectories(path, 'stat');
      return node && { kind: node.kind, size: node.kind === 'file' ? node.size : 0 };
    });
  }

  list(path: string): Promise<readonly string[] | undefined> {
    return this.#gate.run({ kind: 'list', path }, (fault) => {
      failWhenFaulty(fault, { operation: 'list', path });
      const node = this.#findBelowDirectories(path, 'list');
      if (node?.kind === 'file') failAs('ENOTDIR', 'not a directory', { operation: 'list', path });
      return node?.names;
    });
  }

  makeDirectory(path: string): Promise<void> {
    const where = { operation: 'make directory', path };
    return this.#gate.run({ kind: 'makeDirectory', path }, (fault) => {
      failWhenFaulty(fault, where);
      const present = this.#find(path);
      if (present?.kind === 'file') failAs('EEXIST', 'is a file', where);
      if (present !== undefined) return;
      const { parent, name } = this.#entry(path, where.operation);
      parent.change([[name, new SimulatedDirectory()]]);
    });
  }

  async syncDirectory(path: string): Promise<void> {
    const where = { operation: 'sync directory', path };
    const covered = this.#find(path);
    const upTo = covered?.lastNumber ?? 0;
    await this.#gate.run({ kind: 'syncDirectory', path }, (fault) => {
      failWhenFaulty(fault, where);
      if (covered === undefined) failAs('ENOENT', 'no such directory', where);
      if (covered.kind !== 'directory') failAs('ENOTDIR', 'not a directory', where);
      covered.sync(upTo);
    });
  }

  remove(path: string): Promise<void> {
    return this.#gate.run({ kind: 'remove', path }, (fault) => {
      failWhenFaulty(fault, { operation: 'remove', path });
      const { parent, name } = this.#existing(path, 'remove', 'file');
      parent.change([[name, undefined]]);
    });
  }

  removeDirectory(path: string): Promise<void> {
    const where = { operation: 'remove directory', path };
    return this.#gate.run({ kind: 'removeDirectory', path }, (fault) => {
      failWhenFaulty(fault, where);
      const { parent, name, node } = this.#existing(path, where.operation, 'directory');
      if (node.kind === 'directory' && node.names.length > 0) failAs('ENOTEMPTY', 'directory is not empty', where);
      parent.change([[name, undefined]]);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#gate.run({ kind: 'rename', path: from, to }, (fault) => {
      const where = { operation: 'rename', path: from };
      failWhenFaulty(fault, where);
      const source = this.#existing(from, 'rename', 'file');
      const target = this.#entry(to, 'rename');
      if (target.parent.get(target.name)?.kind === 'directory') failAs('EISDIR', 'the target is a directory', where);
      if (from === to) return;
      if (source.parent === target.parent) {
        source.parent.change([
          [target.name, source.node],
          [source.name, undefined],
        ]);
      } else {
        target.parent.change([[target.name, source.node]]);
        source.parent.change([[source.name, undefined]]);
      }
    });
  }

  #created(path: string): SimulatedFile {
    const { parent, name } = this.#entry(path, 'open');
    const file = new SimulatedFile();
    parent.change([[name, file]]);
    return file;
  }

  #find(path: string): SimulatedNode | undefined {
    let node: SimulatedNode | undefined = this.#root;
    for (const part of partsOf(path)) node = node?.kind === 'directory' ? node.get(part) : undefined;
    return node;
  }

  /** As `#find`, but a file in the place of a directory on the way is an error. */
  #findBelowDirectories(path: string, operation: string): SimulatedNode | undefined {
    const parts = partsOf(path);
    for (let count = 1; count < parts.length; count++) {
      const above = this.#find(parts.slice(0, count).join('/'));
      if (above?.kind === 'file') failAs('ENOTDIR', 'not a directory', { operation, path });
    }
    return this.#find(path);
  }

  /** The directory that holds, or could hold, the last part of the path. */
  #entry(path: string, operation: string): { parent: SimulatedDirectory; name: string } {
    const parts = partsOf(path);
    const name = parts.pop();
    assert(name !== undefined, `${operation} of the root`);
    const parent = this.#find(parts.join('/')) ?? failAs('ENOENT', 'no such directory', { operation, path });
    if (parent.kind !== 'directory') failAs('ENOTDIR', 'not a directory', { operation, path });
    return { parent, name };
  }

  #existing(
    path: string,
    operation: string,
    kind: SimulatedNode['kind'],
  ): { parent: SimulatedDirectory; name: string; node: SimulatedNode } {
    const { parent, name } = this.#entry(path, operation);
    const node = parent.get(name) ?? failAs('ENOENT', 'no such file or directory', { operation, path });
    if (node.kind !== kind) failAs(kind === 'file' ? 'EISDIR' : 'ENOTDIR', `is not a ${kind}`, { operation, path });
    return { parent, name, node };
  }

  #existingFile(path: string): SimulatedFile {
    const node = this.#find(path);
    assert(node?.kind === 'file', `${path} is no file of the simulated disk`);
    return node;
  }

  #placeFor(path: string): { parent: SimulatedDirectory; name: string } {
    const parts = partsOf(path);
    const name = parts.pop();
    assert(name !== undefined, 'the root is no file');
    let parent = this.#root;
    for (const part of parts) {
      const found = parent.get(part) ?? new SimulatedDirectory();
      assert(found.kind === 'directory', `${part} of ${path} is a file`);
      parent.replace(part, found);
      parent = found;
    }
    return { parent, name };
  }

  *#allFiles(directory = this.#root, prefix = ''): Generator<[string, SimulatedFile]> {
    for (const name of directory.names) {
      const node = directory.get(name);
      if (node?.kind === 'file') yield [prefix + name, node];
      else if (node !== undefined) yield* this.#allFiles(node, `${prefix}${name}/`);
    }
  }

  *#allDirectories(directory = this.#root): Generator<SimulatedDirectory> {
    yield directory;
    for (const name of directory.names) {
      const node = directory.get(name);
      if (node?.kind === 'directory') yield* this.#allDirectories(node);
    }
  }
}

function partsOf(path: string): string[] {
  if (path === '') return [];
  const parts = path.split('/');
  assert(!parts.some((part) => part === '' || part === '.' || part === '..'), `${path} is no path below the root`);
  return parts;
}
