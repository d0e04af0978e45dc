import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shardDirectory } from '../../src/service/shard-config.ts';
import { backupFile } from '../../src/shard/backup-manifest.ts';
import type { Experiment } from '../experiment.ts';
import { limited, passed, until } from '../live/limit.ts';
import { liveExperiment } from '../live/live-experiment.ts';
import { judgeBackup, type Restored } from '../live/restored-shard.ts';
import { expect, type Site } from '../live/site.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const killCount = 2;
const receiptsMin = 60;
/** Changes of files in the backup after which the kill comes, at most. */
const changesMax = 14;

/**
 * Backups of a live worker by `permafrost backup`, as its operator runs it: killed in the middle, run again, run to
 * their end. After each, whatever is a backup then is restored and judged, and at last the whole procedure of a restore is
 * gone through.
 */
export const killedBackup: Experiment = liveExperiment({
  name: 'killed-backup',
  family: 'process',
  rows: [21],
  promise:
    'backups of a worker under load, full and incremental, killed (SIGKILL) at any moment: there is a complete backup as ' +
    'soon as one ran to its end and at any time afterwards, never an older one than before, and what is restored from it ' +
    'has every receipt up to its checkpoint and is sound; a worker takes it over with `--trust-volume` and not without',
  leastWork: { cases: killCount + 3, operations: (killCount + 2) * receiptsMin },
  // Few enough records and sections that each restored shard is judged in a moment.
  site: () => ({
    load: { laneCount: 8, valueBytesMax: 20_000 },
    settings: {
      SYNC_INTERVAL_MS: '50',
      ENGINE_TABLE_INITIAL_SIZE: '1024',
      ENGINE_VALUE_TARGET_SIZE: String(512 * 1024),
    },
  }),
  act: async (site) => {
    const backups = new Backups(site);
    const worker = await site.launchReady();
    site.load.start();
    await site.load.acknowledged(site.signal, receiptsMin);
    // By the seed the first kill meets the full backup or an incremental one.
    if (site.random.chance(0.5)) await backups.complete();
    for (let kill = 0; kill < killCount && !site.signal.aborted; kill++) {
      await site.load.acknowledged(site.signal, receiptsMin);
      await backups.kill();
    }
    await backups.complete();
    await site.load.stop(site.signal);
    await until(site.signal, 'a checkpoint of all', async () => {
      return (await site.published()).records === site.load.recordCount;
    });
    await backups.complete();
    expect(backups.newest?.recordCount === site.load.recordCount, 'the last backup has not all that was put');
    await site.ended(worker, 'SIGKILL');
    await takeOver(site, backups.restored);
    return backups.count + 1;
  },
});

/** The directory of the backups, and what was restored from it last. */
class Backups {
  readonly #site: Site;
  readonly #directory: string;
  #newest: Restored | undefined;
  #restored = '';
  count = 0;

  constructor(site: Site) {
    this.#site = site;
    this.#directory = join(site.round.directory, 'backup');
  }

  get newest(): Restored | undefined {
    return this.#newest;
  }

  /** Data directory with the shard that was restored last. */
  get restored(): string {
    return this.#restored;
  }

  async complete(): Promise<void> {
    const { signal } = this.#site;
    const run = this.#start();
    const [status] = await limited(signal, 'the end of a backup', once(run, 'exit'));
    expect(status === 0, `permafrost backup ended with ${status}`);
    await this.#judge();
  }

  /** Kills a backup some changes of files after its beginning. */
  async kill(): Promise<void> {
    const { random, signal } = this.#site;
    await mkdir(this.#directory, { recursive: true });
    const changes = new Changes(this.#directory, random.between(0, changesMax));
    const run = this.#start();
    const ended = once(run, 'exit');
    try {
      await limited(signal, 'a backup in the middle', Promise.race([changes.seen, ended]));
      await passed(signal, random.pick([0, 0, 1, 3]));
    } finally {
      changes.close();
      run.kill('SIGKILL');
    }
    await limited(signal, 'the end of a killed backup', ended);
    await this.#judge();
  }

  #start(): ChildProcess {
    const path = shardDirectory({ dataDir: this.#site.dataDir, shard: 0 });
    const args = ['--disable-warning=ExperimentalWarning', main, 'backup', '--path', path, '--to', this.#directory];
    const env = { PATH: process.env.PATH, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') };
    return spawn(process.execPath, args, { env, stdio: 'ignore' });
  }

  async #judge(): Promise<void> {
    this.count += 1;
    if (!existsSync(join(this.#directory, backupFile))) {
      expect(this.#newest === undefined, 'a killed backup has taken the complete one away');
      return;
    }
    await rm(this.#restored, { recursive: true, force: true });
    this.#restored = join(this.#site.round.directory, `restored-${this.count}`);
    const directory = shardDirectory({ dataDir: this.#restored, shard: 0 });
    const found = await judgeBackup(this.#directory, directory, [...this.#site.journal.records]);
    expect(found.epoch >= (this.#newest?.epoch ?? 0), `epoch ${found.epoch} after ${this.#newest?.epoch}`);
    this.#newest = found;
  }
}

/** Resolves `seen` when so many changes were made below a directory. */
class Changes {
  readonly seen: Promise<void>;
  readonly #watcher: FSWatcher;

  constructor(directory: string, count: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.seen = promise;
    let left = count;
    this.#watcher = watch(directory, { recursive: true }, () => {
      left -= 1;
      if (left <= 0) resolve();
    });
  }

  close(): void {
    this.#watcher.close();
  }
}

/** The procedure of docs/OPERATIONS.md, from the restored directory to a worker that serves. */
async function takeOver(site: Site, dataDir: string): Promise<void> {
  await site.refused(site.launch({ DATA_DIR: dataDir }), 'Redis knows this shard as instance');
  const next = await site.launchReady({ DATA_DIR: dataDir, TRUST_VOLUME: 'true' });
  await site.readAll();
  const status = await site.ended(next, 'SIGTERM');
  expect(status === 0, `the worker of the restored shard ended with ${status}`);
  await site.refused(site.launch(), 'it is not this shard');
  const again = await site.launchReady({ DATA_DIR: dataDir });
  await site.ended(again, 'SIGTERM');
}
