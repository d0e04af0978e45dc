import { resolve } from 'node:path';
import { codeOf, messageOf } from '../base/errors.ts';
import { type BackupReport, backupShard } from '../shard/backup.ts';
import { directoryLock } from '../shard/owner-lock.ts';
import { countText, durationText, sizeText } from './amounts.ts';
import { defineCommand, exitCodes, type Terminal } from './command.ts';
import { existingShard, madeDirectory, PhaseProgress, pathOption, unlessInterrupted } from './offline-shard.ts';
import { configFrom, shardOptions } from './settings.ts';
import { generationsText, topologyBeside } from './topology-beside.ts';

export const backupCommand = defineCommand({
  name: 'backup',
  summary: 'copies a shard while its worker runs; again into the same directory, only what is new',
  description:
    'The copy is of the newest checkpoint, which is at most one sync interval old. The shard is only read (but for a small file that tells ' +
    'its worker the time of the backup), no lock is taken, and the worker need not be stopped. Every page and value is checked on the way: ' +
    'damage is named, ends the command with 1, and never gets into the backup. Whenever it is stopped, the backup that was complete before ' +
    'can be restored, and the next run goes on. What the data directory knows of the topology is written down with it. The directory belongs to one shard, best on another machine or volume.',
  operands: {},
  options: {
    to: {
      kind: 'text',
      placeholder: 'dir',
      required: true,
      summary: 'directory of the backup; made when it is missing',
    },
    json: { kind: 'flag', summary: 'print the report as JSON' },
    ...pathOption,
    ...shardOptions,
  },
  examples: [
    {
      line: 'permafrost backup --data-dir ./data --to /backup/shard-0000',
      effect: 'back up shard 0, or go on with its backup',
    },
    {
      line: 'permafrost backup --path /data/shard-0003 --to /backup/shard-0003 --json',
      effect: 'another shard, for a machine',
    },
    {
      line: 'permafrost backup --to /backup/0 && permafrost restore --from /backup/0 --to /tmp/trial --verify',
      effect: 'a backup counts when it was restored: try it',
    },
  ],
  async run({ options }, terminal) {
    const { directory, disk } = await existingShard(configFrom(options, terminal.environment), options.path);
    const progress = new PhaseProgress('backup', terminal);
    const startedMs = terminal.clock.monotonicMs();
    const beside = await topologyBeside(directory);
    const isUnreadable = beside !== undefined && 'unreadable' in beside;
    const report = await unlessInterrupted(terminal, async () => {
      const topology = isUnreadable ? undefined : beside?.generations;
      const target = { disk: await madeDirectory(options.to), lock: directoryLock(resolve(options.to)) };
      const deps = { clock: terminal.clock, progress: progress.update.bind(progress), topology };
      return backupShard(disk, target, deps).catch((error: unknown) => damageIn(error));
    });
    progress.clear();
    if (report === undefined) {
      terminal.notes.write('permafrost backup: interrupted; the backup before is as it was, the next run goes on\n');
      return exitCodes.interrupted;
    }
    if ('damage' in report) {
      if (options.json) terminal.output.write(`${JSON.stringify({ directory, to: options.to, ...report })}\n`);
      terminal.notes.write(`DAMAGED  ${report.damage}\n`);
      return exitCodes.negative;
    }
    if (isUnreadable) terminal.notes.write(`permafrost backup: without a newer topology: ${beside.unreadable}\n`);
    if (report.untold !== undefined)
      terminal.notes.write(`permafrost backup: not told to the worker: ${report.untold}\n`);
    if (options.json) terminal.output.write(`${JSON.stringify({ directory, to: options.to, ...report })}\n`);
    else tell(report, { directory, to: options.to, tookMs: terminal.clock.monotonicMs() - startedMs }, terminal);
    return exitCodes.done;
  },
});

/** Damage of the shard is an answer; everything else is a failure. */
function damageIn(error: unknown): { readonly damage: string } {
  const code = codeOf(error);
  if (code === 'corruption' || code === 'damaged') return { damage: messageOf(error) };
  throw error;
}

function tell(
  { epoch, checkpointSavedAtMs, instance, recordCount, sectionCount, topology, copiedBytes, keptBytes }: BackupReport,
  { directory, to, tookMs }: { readonly directory: string; readonly to: string; readonly tookMs: number },
  { output }: Terminal,
): void {
  const sections = sectionCount === 1 ? 'one section' : `${countText(sectionCount)} sections`;
  output.write(`Shard    ${directory}, instance ${instance}\n`);
  output.write(
    `Backup   ${to}: ${countText(recordCount)} records in ${sections}, checkpoint epoch ${epoch} of ${new Date(checkpointSavedAtMs).toISOString()}\n`,
  );
  if (topology !== undefined) output.write(`Topology ${generationsText(topology)} shards\n`);
  output.write(`Copied   ${sizeText(copiedBytes)} in ${durationText(tookMs)}, ${sizeText(keptBytes)} were there\n`);
}
