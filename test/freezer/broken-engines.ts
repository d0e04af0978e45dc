/** Engines that are broken on purpose, which the crash explorations must catch. Runs in a thread of its own. */
import { failedFsyncs } from '../../crashlab/simulated/freezer-faults.ts';
import type { Disk, DiskFile } from '../../src/disk/disk.ts';
import { offerExplorations } from '../simulation/apart.ts';
import { type Explored, exploreCrashPoints } from '../simulation/crash-points.ts';
import { verifyOf, type WorkloadPlan, workloadOf } from './crash-model.ts';
import { onePage, resizing } from './crash-plans.ts';
import { checkWriteOrder } from './write-order.ts';

/** Breaks the engine in the workload only; the check opens the store with an engine that is whole. */
function crashes(plan: WorkloadPlan, randomSurvivals: number): Promise<Explored> {
  const { seed, turns, settings } = plan;
  const verify = verifyOf({ seed, turns, ...(settings && { settings }) });
  return exploreCrashPoints({ workload: workloadOf(plan), verify, seed, randomSurvivals });
}

/** A disk whose files are wrapped. */
function wrapped(disk: Disk, wrap: (file: DiskFile) => Partial<DiskFile>): Disk {
  return new Proxy(disk, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (name !== 'open') return typeof member === 'function' ? member.bind(target) : member;
      return async (path: string, options: { readonly create: boolean }): Promise<DiskFile> => {
        const file = await target.open(path, options);
        const changes = wrap(file);
        return new Proxy(file, {
          get(of, method) {
            const changed: unknown = Reflect.get(changes, method);
            if (changed !== undefined) return changed;
            const own: unknown = Reflect.get(of, method);
            return typeof own === 'function' ? own.bind(of) : own;
          },
        });
      };
    },
  });
}

const isSection = (path: string): boolean => path.startsWith('key/') || path.startsWith('value/');

/** Replaces the fsyncs of a file but for its first, which makes a new file's header durable. */
function laterSyncs(file: DiskFile, sync: () => Promise<void>): Partial<DiskFile> {
  let isFirst = true;
  return {
    sync: () => {
      if (!isFirst) return sync();
      isFirst = false;
      return file.sync();
    },
  };
}

/** Leaves out the fsync of some files. */
function withoutSync(leftOut: (path: string) => boolean): (disk: Disk) => Disk {
  return (disk) => wrapped(disk, (file) => (leftOut(file.path) ? laterSyncs(file, async () => {}) : {}));
}

/** Makes the journals durable only after the table when the freezer syncs; commits are left as they are. */
function syncsSwapped(): Pick<WorkloadPlan, 'disturb' | 'beforeSync'> {
  const waiting: DiskFile[] = [];
  let isSwapped = false;
  return {
    beforeSync: () => {
      isSwapped = true;
    },
    disturb: (disk) =>
      wrapped(disk, (file) => {
        if (isSection(file.path)) return { sync: async () => (isSwapped ? void waiting.push(file) : file.sync()) };
        if (!file.path.startsWith('table/')) return {};
        return {
          sync: async () => {
            await file.sync();
            isSwapped = false;
            for (const late of waiting.splice(0)) await late.sync();
          },
        };
      }),
  };
}

/** Turns of the queue of promises that an fsync is late: more than the next commit takes that has nothing to write. */
const lateTurns = 20;

/** Lets pages be written while their fsync is in flight: the engine is told that it returned before it began. */
function earlySync(): Pick<WorkloadPlan, 'disturb' | 'settled'> {
  let waiting: DiskFile[] = [];
  return {
    disturb: (disk) =>
      wrapped(disk, (file) =>
        file.path.startsWith('key/') ? laterSyncs(file, async () => void waiting.push(file)) : {},
      ),
    settled: async () => {
      const files = waiting;
      waiting = [];
      for (let turn = 0; files.length > 0 && turn < lateTurns; turn++) await Promise.resolve();
      await Promise.all(files.map((file) => file.sync()));
    },
  };
}

/** Asks for an fsync that failed once more, and believes the answer. */
function syncingAgain(disk: Disk): Disk {
  return wrapped(disk, (file) => ({ sync: () => file.sync().catch(() => file.sync()) }));
}

/** Does not write bytes again that are readable already. */
function withoutRewriting(disk: Disk): Disk {
  return wrapped(disk, (file) => {
    if (!isSection(file.path)) return {};
    return {
      writeMany: async (writes) => {
        for (const write of writes) {
          const size = await file.size();
          const found = Buffer.alloc(Math.max(0, Math.min(write.bytes.length, size - write.offset)));
          await file.read(write.offset, found);
          if (!found.equals(write.bytes)) await file.write(write.offset, write.bytes);
        }
      },
    };
  });
}

const failing: WorkloadPlan = { seed: 7, turns: 16, failedSyncEvery: 9 };

await offerExplorations({
  'a failed fsync asked for once more': () =>
    failedFsyncs({ seed: 1, directory: '', signal: new AbortController().signal }, syncingAgain),
  'no fsync of key sections': () =>
    crashes({ seed: 1, turns: 6, disturb: withoutSync((path) => path.startsWith('key/')) }, 1),
  'no fsync of value sections': () =>
    crashes({ seed: 1, turns: 6, disturb: withoutSync((path) => path.startsWith('value/')) }, 1),
  'no fsync of the table': () =>
    crashes({ seed: 1, turns: 10, disturb: withoutSync((path) => path.startsWith('table/')) }, 2),
  'table written before the journals are durable': () => checkWriteOrder({ seed: 1, turns: 14, ...syncsSwapped() }),
  'puts before the checkpoint is saved': () => crashes({ seed: 3, turns: 16, settings: resizing, savesLate: true }, 4),
  'pages written while their fsync is in flight': () =>
    crashes({ seed: 4, turns: 16, settings: onePage, commitsOnly: true, ...earlySync() }, 8),
  'adopted bytes not written again': () => crashes({ ...failing, disturb: withoutRewriting }, 4),
});
