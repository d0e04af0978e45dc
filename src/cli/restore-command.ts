import { basename, resolve } from 'node:path';
import { codeOf, messageOf } from '../base/errors.ts';
import { NodeDisk } from '../disk/node-disk.ts';
import { directoryLock } from '../shard/owner-lock.ts';
import { type RestoreReport, restoredSettings, restoreShard } from '../shard/restore.ts';
import { type VerifyReport, verifyShard } from '../shard/verify.ts';
import { countText, sizeText } from './amounts.ts';
import { CliError } from './cli-error.ts';
import { defineCommand, exitCodes, type Terminal } from './command.ts';
import { madeDirectory, PhaseProgress, storeDeps, unlessInterrupted } from './offline-shard.ts';
import { generationsText, type PlacedTopology, placeTopology, shardName } from './topology-beside.ts';
import { tellVerdict } from './verify-verdict.ts';

type Outcome =
  | { readonly damage: string }
  | {
      readonly report: RestoreReport;
      readonly verification: VerifyReport | undefined;
      readonly topology: PlacedTopology;
    };

export const restoreCommand = defineCommand({
  name: 'restore',
  summary: 'makes a shard from a backup',
  description:
    'Every byte is compared with the checksums of the backup before the shard counts. The shard is a new instance: what was stored after ' +
    'the backup is not in it, so Redis, which knows the old one, refuses it until the worker is started once with --trust-volume. What the ' +
    'backup knows of the topology is added to the data directory (when --to is named as a shard there is), for a Redis that was lost. A ' +
    'backup that is damaged ends it with 1; whatever was written until then is no shard and can be removed. docs/OPERATIONS.md has the ' +
    'whole procedure.',
  operands: {},
  options: {
    from: { kind: 'text', placeholder: 'dir', required: true, summary: 'directory of the backup' },
    to: {
      kind: 'text',
      placeholder: 'dir',
      required: true,
      summary: 'directory of the new shard, shard-<number> below a data directory; empty or missing',
    },
    verify: { kind: 'flag', summary: 'check all of the restored shard, as permafrost verify does' },
    json: { kind: 'flag', summary: 'print the report as JSON' },
  },
  examples: [
    {
      line: 'permafrost restore --from /backup/shard-0000 --to ./data/shard-0000 --verify',
      effect: 'restore shard 0 into a data directory, and check all of it',
    },
    {
      line: 'permafrost restore --from /backup/shard-0000 --to ./data/shard-0000 && permafrost worker --trust-volume',
      effect: 'restore it and run it; the flag is for this one start',
    },
  ],
  async run({ options }, terminal) {
    const backup = new NodeDisk(options.from);
    if ((await backup.list('')) === undefined)
      throw new CliError('unreadable-input', `there is no directory ${options.from}`);
    const progress = new PhaseProgress('restore', terminal);
    const deps = { lock: directoryLock(resolve(options.to)), ...storeDeps(terminal, progress) };
    const outcome = await unlessInterrupted(terminal, async (): Promise<Outcome> => {
      const disk = await madeDirectory(options.to);
      try {
        const report = await restoreShard(backup, { disk, ...deps });
        const settings = restoredSettings(report);
        const verification = options.verify ? await verifyShard({ disk, ...deps }, settings) : undefined;
        const topology = await placeTopology(report.topology, { directory: options.to, shard: report.shard });
        return { report, verification, topology };
      } catch (error) {
        if (codeOf(error) === 'backup-damaged') return { damage: messageOf(error) };
        throw error;
      }
    });
    progress.clear();
    if (outcome === undefined) {
      terminal.notes.write(`permafrost restore: interrupted; remove ${options.to} before the next attempt\n`);
      return exitCodes.interrupted;
    }
    if (options.json) terminal.output.write(`${JSON.stringify({ directory: options.to, ...outcome })}\n`);
    if ('damage' in outcome) {
      terminal.notes.write(`DAMAGED  ${outcome.damage}\n`);
      return exitCodes.negative;
    }
    if (!options.json) tell(outcome, options.to, terminal);
    return (outcome.verification?.problemCount ?? 0) === 0 ? exitCodes.done : exitCodes.negative;
  },
});

function tell(
  { report, verification, topology }: Extract<Outcome, { readonly report: RestoreReport }>,
  directory: string,
  { output, notes }: Terminal,
): void {
  const { archive, shard, instance, epoch, checkpointSavedAtMs, recordCount, bytes } = report;
  output.write(
    `Restored ${countText(recordCount)} records, ${sizeText(bytes)}, of archive "${archive}", shard ${shard}\n`,
  );
  output.write(`As of    ${new Date(checkpointSavedAtMs).toISOString()}, checkpoint epoch ${epoch}\n`);
  if (verification === undefined) output.write(`Shard    ${directory}, instance ${instance}\n`);
  else tellVerdict(verification, directory, output);
  if (topology.kind === 'placed')
    output.write(`Topology ${generationsText(topology.topology.generations)} shards, in ${topology.path}\n`);
  const name = shardName(shard);
  if (basename(resolve(directory)) !== name)
    notes.write(`permafrost restore: a worker looks for this shard in <data directory>/${name}\n`);
  if (topology.kind === 'left' && report.topology !== undefined)
    notes.write(
      `permafrost restore: the topology (${generationsText(report.topology)} shards) was not written: ${topology.reason}\n`,
    );
}
