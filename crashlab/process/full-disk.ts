import type { WorkerProcess } from '../../test/service/worker-process.ts';
import type { Experiment } from '../experiment.ts';
import { until } from '../live/limit.ts';
import { liveExperiment } from '../live/live-experiment.ts';
import { expect, type Site } from '../live/site.ts';
import { SmallVolume, whyNoSmallVolume } from './small-volume.ts';

const mib = 1024 * 1024;
/** What a shard wants free before it goes on after a full disk (64 MiB), and room for what is put. */
const volumeMib = 160;
const receiptsMin = 50;
const cycleCount = 1;

/**
 * The file system below a worker runs full while it works, and is given room again.
 *
 * With an even seed the worker watches its free space, and mostly pauses before a write fails. With an odd one it does
 * not look, and the write itself fails (ENOSPC), at whatever file it was.
 */
export const fullDisk: Experiment = liveExperiment({
  name: 'full-disk',
  family: 'process',
  rows: [8],
  promise:
    'on a file system that runs full the intake pauses and lookups go on; given room again the same process resumes by ' +
    'itself, every put that waited is acknowledged, and no receipt is lost',
  leastWork: { cases: cycleCount, operations: cycleCount * receiptsMin },
  unavailable: whyNoSmallVolume,
  site: (seed) => ({
    load: { valueBytesMax: 16_384, putTimeoutMs: 120_000 },
    settings: {
      DISK_PAUSE_BELOW_BYTES: String(2 * mib),
      // What the values are made of shrinks to nothing, and would fill no disk.
      ENGINE_COMPRESSION_LEVEL: '0',
      DISK_RESUME_ABOVE_BYTES: String(4 * mib),
      DISK_CHECK_INTERVAL_MS: isWatched(seed) ? '20' : '3600000',
    },
  }),
  act: async (site) => {
    await using volume = await SmallVolume.mount(site.dataDir, volumeMib);
    const worker = await site.launchReady();
    return await fillAndFree(site, worker, volume, isWatched(site.round.seed));
  },
});

function isWatched(seed: number): boolean {
  return seed % 2 === 0;
}

async function fillAndFree(site: Site, worker: WorkerProcess, volume: SmallVolume, watched: boolean): Promise<number> {
  site.load.start();
  let cycles = 0;
  for (; cycles < cycleCount && !site.signal.aborted; cycles += 1) {
    await site.load.acknowledged(site.signal, receiptsMin);
    const from = worker.lines.length;
    await volume.fill(site.random.between(0, mib));
    await (watched
      ? site.logged(worker, 'disk-low', { from })
      : site.logged(worker, 'shard-state', { fields: { state: 'disk-full' }, from }));
    await until(site.signal, 'no receipts while the disk is full', quiet(site), 100);
    await site.readAll();
    expect(site.load.resentCount === 0, 'a put was given up while the disk was full');
    await volume.free();
    await site.logged(worker, 'intake-resumed', { from });
    await site.load.acknowledged(site.signal, receiptsMin);
  }
  await site.finish(worker);
  return cycles;
}

/** Whether nothing was acknowledged since the last question. */
function quiet(site: Site): () => boolean {
  let before = -1;
  return () => {
    const now = site.journal.records.length;
    const holds = now === before;
    before = now;
    return holds;
  };
}
