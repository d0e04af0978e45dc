import { once } from 'node:events';
import { resolve } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { silentLogger } from '../base/logger.ts';
import { NodeDisk } from '../disk/node-disk.ts';
import type { Config } from '../service/config.ts';
import { shardDirectory, shardSettings } from '../service/shard-config.ts';
import { withParameters } from '../shard/engine-settings.ts';
import { type Identity, readIdentity } from '../shard/identity.ts';
import { directoryLock, isLockFile, type OwnerLock } from '../shard/owner-lock.ts';
import type { ShardSettings } from '../shard/settings.ts';
import { prepareShardDirectory } from '../shard/shard-directory.ts';
import type { StoreDeps } from '../shard/store.ts';
import { CliError } from './cli-error.ts';
import type { Terminal } from './command.ts';
import { Progress } from './progress.ts';

/** Option of the commands that take `existingShard`. */
export const pathOption = {
  path: {
    kind: 'text',
    placeholder: 'dir',
    summary: "the shard's own directory, in place of --data-dir and --shard",
  },
} as const;

/** A shard's directory, for commands that work on its files without a worker. */
export interface OfflineShard {
  readonly directory: string;
  readonly settings: ShardSettings;
  readonly disk: NodeDisk;
  readonly lock: OwnerLock;
}

/**
 * The shard that the settings name, or the one in the directory `path`; `unreadable-input` when there is nothing that a
 * shard writes.
 */
export async function existingShard(config: Config, path?: string): Promise<OfflineShard> {
  const directory = path ?? shardDirectory(config);
  const disk = new NodeDisk(directory);
  const names = (await disk.list('')) ?? [];
  // To open an empty directory is to create a shard: that is for a worker to do.
  if (!names.every(isLockFile))
    return { directory, disk, lock: directoryLock(directory), settings: await settingsOf(config, disk, path) };
  throw new CliError(
    'unreadable-input',
    `there is no shard in ${directory}: name its data directory with --data-dir, and its number with --shard`,
  );
}

/** Of a shard that is named by its directory, its identity says what it is; otherwise it has to be what is configured. */
async function settingsOf(config: Config, disk: NodeDisk, path: string | undefined): Promise<ShardSettings> {
  const configured = shardSettings(config);
  const identity = path === undefined ? undefined : await readIdentity(disk).catch(() => undefined);
  return identity === undefined ? configured : settingsFor(configured, identity);
}

/** The settings that fit a shard, whatever archive it is of. */
export function settingsFor(
  configured: ShardSettings,
  { archive, shard, engine }: Pick<Identity, 'archive' | 'shard' | 'engine'>,
): ShardSettings {
  return { ...configured, archive, shard, engine: withParameters(configured.engine, engine) };
}

/** Makes a directory for a command's result, durably, with what is missing above it. */
export async function madeDirectory(directory: string): Promise<NodeDisk> {
  try {
    return await prepareShardDirectory(resolve(directory));
  } catch (error) {
    throw new CliError('unwritable-output', `${directory} cannot be made: ${messageOf(error)}`, { cause: error });
  }
}

/** What the commands on a shard's files need beside the disk. Quiet: what they find they tell themselves. */
export function storeDeps(terminal: Terminal, progress: PhaseProgress): Omit<StoreDeps, 'engine' | 'disk'> {
  return {
    clock: terminal.clock,
    logger: silentLogger,
    progress: (done, total, phase) => progress.update(done, total, phase),
  };
}

/** The work's outcome, or `undefined` after Ctrl-C: what runs then is safe to leave at any moment, by ending the process. */
export async function unlessInterrupted<T>(terminal: Terminal, start: () => Promise<T>): Promise<T | undefined> {
  if (terminal.interrupted.aborted) return undefined;
  const work = start();
  // Its failure is nobody's any more when it comes after the interruption.
  work.catch(() => {});
  const settled = new AbortController();
  const interruption = once(terminal.interrupted, 'abort', { signal: settled.signal }).then(() => undefined);
  interruption.catch(() => {});
  try {
    return await Promise.race([work, interruption]);
  } finally {
    settled.abort();
  }
}

/** Progress of work that goes through phases: a bar for each, told when it ends. */
export class PhaseProgress {
  readonly #command: string;
  readonly #terminal: Pick<Terminal, 'notes' | 'clock'>;
  #phase = '';
  #progress: Progress | undefined;

  constructor(command: string, terminal: Pick<Terminal, 'notes' | 'clock'>) {
    this.#command = command;
    this.#terminal = terminal;
  }

  /** `total` 0 stands for one that is not known. */
  update(done: number, total: number, phase: string): void {
    if (phase !== this.#phase) this.#begin(phase);
    this.#progress?.update(done, total === 0 ? undefined : total);
  }

  /** Takes the bar away, so that other text can be written. */
  clear(): void {
    this.#progress?.clear();
  }

  #begin(phase: string): void {
    this.clear();
    this.#phase = phase;
    const unit = unitOf(phase);
    this.#progress = new Progress(
      { label: `${this.#command}, ${phase}`, unit },
      this.#terminal.notes,
      this.#terminal.clock,
    );
  }
}

function unitOf(phase: string): string {
  if (phase === 'copying') return 'bytes';
  if (phase.startsWith('table')) return 'buckets';
  return phase.startsWith('key index') ? 'sections' : 'records';
}
