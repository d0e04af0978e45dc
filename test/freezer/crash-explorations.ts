/** The crash explorations of the freezer, and the broken engines that they must catch. Runs in a thread of its own. */
import { headerSize } from '../../src/blob/header.ts';
import type { Disk, DiskFile } from '../../src/disk/disk.ts';
import { bucketSize, slotSize } from '../../src/freezer/table-entry.ts';
import { offerExplorations } from '../simulation/apart.ts';
import { type Explored, exploreCrashPoints } from '../simulation/crash-points.ts';
import { exploreFaults } from '../simulation/fault-points.ts';
import type { Logged } from '../simulation/gate.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { type CrashEvent, verifyOf, type WorkloadPlan, workloadOf } from './crash-model.ts';
import { Keeper, smallSettings } from './keeper.ts';

function crashes(
  plan: WorkloadPlan,
  options: { readonly depth: number; readonly survivals: number },
): Promise<Explored> {
  return exploreCrashPoints({
    workload: workloadOf(plan),
    verify: verifyOf({ seed: plan.seed, turns: plan.turns, ...(plan.settings && { settings: plan.settings }) }),
    seed: plan.seed,
    randomSurvivals: options.survivals,
    depth: options.depth,
    nestedPointsMax: 2,
  });
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
      await Promise.all(files.map((file) => file.sync()));
    },
  };
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

/** Throws when a byte of the table was written while a journal had bytes that no fsync covered. */
async function checkOrder(plan: WorkloadPlan): Promise<number> {
  const disk = new SimulatedDisk();
  await workloadOf(plan)(disk, []);
  const isTableWrite = ({ kind, path }: Logged): boolean => kind === 'write' && path.startsWith('table/');
  const tableWrites = disk.log.filter(isTableWrite);
  for (const write of tableWrites) {
    const exposed = disk.log.find(
      (earlier) => isSectionWrite(earlier) && endOf(earlier) < write.issued && !isCovered(disk, earlier, write),
    );
    if (exposed !== undefined)
      throw new Error(`table written at ${write.step} before ${exposed.path} of ${exposed.step} is durable`);
  }
  return tableWrites.length;
}

function endOf(operation: Logged): number {
  return operation.ended ?? Number.POSITIVE_INFINITY;
}

function isSectionWrite({ kind, path }: Logged): boolean {
  return kind === 'write' && isSection(path);
}

function isCovered(disk: SimulatedDisk, write: Logged, before: Logged): boolean {
  return disk.log.some(
    ({ kind, path, issued, ended }) =>
      kind === 'sync' &&
      path === write.path &&
      issued > endOf(write) &&
      (ended ?? Number.POSITIVE_INFINITY) < before.issued,
  );
}

const resizing: WorkloadPlan['settings'] = {
  ...smallSettings,
  tableInitialSize: 1,
  tableResizeFrequency: 1,
  tableResizeChunkSize: 1,
};
const onePage: WorkloadPlan['settings'] = {
  ...smallSettings,
  keyPageCache: { pageSize: 500, pages: 4 },
  valueTargetSize: 100_000,
};
const failing: WorkloadPlan = { seed: 7, turns: 16, failedSyncEvery: 9 };

/** One slot of each bucket rots; the store is opened and synced, and crashes at every step of it. */
async function derivedBuckets(): Promise<Explored> {
  const settings = { ...smallSettings, tableInitialSize: 64, tableResizeFrequency: 254, valueTargetSize: 100_000 };
  const plan: WorkloadPlan = { seed: 8, turns: 8, settings };
  const whole = new SimulatedDisk();
  const events: CrashEvent[] = [];
  await workloadOf(plan)(whole, events);
  const total: Explored = { points: 0, states: 0 };
  for (const slot of [0, 1]) {
    const rotten = whole.crash('allDurable');
    rotten.mutate(tablePath, (bytes) => withRottenSlots(bytes, slot));
    const workload = async (disk: SimulatedDisk, seen: CrashEvent[]): Promise<void> => {
      if (seen.length === 0) seen.push(...events);
      const { keeper, freezer } = await Keeper.open(disk, settings);
      await freezer.sync(keeper.saveCheckpoint);
      await freezer.release();
    };
    const options = { workload, verify: verifyOf(plan), seed: 8, randomSurvivals: 12, sectorSizes: [1, 512] };
    const explored = await exploreCrashPoints<CrashEvent>({ ...options, startDisk: () => rotten.clone() });
    total.points += explored.points;
    total.states += explored.states;
  }
  return total;
}

const tablePath = 'table/7461626c65';

function withRottenSlots(bytes: Buffer, slot: number): Buffer {
  const rotten = Buffer.from(bytes);
  for (let at = headerSize + slot * slotSize; at + slotSize <= rotten.length; at += bucketSize) {
    if (rotten.subarray(at, at + slotSize).some((byte) => byte !== 0))
      rotten.writeUInt8(rotten.readUInt8(at + 20) ^ 1, at + 20);
  }
  return rotten;
}

await offerExplorations({
  'derived buckets': derivedBuckets,
  'every point, first seed': () => crashes({ seed: 1, turns: 14 }, { depth: 1, survivals: 6 }),
  'every point, second seed': () => crashes({ seed: 2, turns: 14 }, { depth: 1, survivals: 6 }),
  'resizes that finish': () => crashes({ seed: 3, turns: 16, settings: resizing }, { depth: 1, survivals: 4 }),
  'pages of several commits': () =>
    crashes({ seed: 4, turns: 16, settings: onePage, commitsOnly: true }, { depth: 1, survivals: 6 }),
  'crashes inside recovery': () => crashes({ seed: 5, turns: 7 }, { depth: 2, survivals: 2 }),
  'fsyncs that fail': () => crashes(failing, { depth: 1, survivals: 4 }),
  'failed operations': () => {
    const plan: WorkloadPlan = { seed: 6, turns: 5 };
    return exploreFaults({
      workload: workloadOf(plan),
      verify: verifyOf(plan),
      seed: 6,
      faults: ['eio', 'enospc', 'short-write'],
    });
  },
  'broken: no fsync of key sections': () =>
    crashes({ seed: 1, turns: 6, disturb: withoutSync((path) => path.startsWith('key/')) }, { depth: 1, survivals: 1 }),
  'broken: no fsync of value sections': () =>
    crashes(
      { seed: 1, turns: 6, disturb: withoutSync((path) => path.startsWith('value/')) },
      { depth: 1, survivals: 1 },
    ),
  'broken: no fsync of the table': () =>
    crashes(
      { seed: 1, turns: 10, disturb: withoutSync((path) => path.startsWith('table/')) },
      { depth: 1, survivals: 2 },
    ),
  'journals before the table': () => checkOrder({ seed: 1, turns: 14 }),
  'broken: table written before the journals are durable': () => checkOrder({ seed: 1, turns: 14, ...syncsSwapped() }),
  'broken: puts before the checkpoint is saved': () =>
    crashes({ seed: 3, turns: 16, settings: resizing, savesLate: true }, { depth: 1, survivals: 4 }),
  'broken: pages written while their fsync is in flight': () =>
    crashes({ seed: 4, turns: 16, settings: onePage, commitsOnly: true, ...earlySync() }, { depth: 1, survivals: 8 }),
  'broken: adopted bytes not written again': () =>
    crashes({ ...failing, disturb: withoutRewriting }, { depth: 1, survivals: 4 }),
});
