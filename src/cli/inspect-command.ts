import { backupFile, readBackupManifest } from '../shard/backup-manifest.ts';
import type { Envelope } from '../shard/envelope.ts';
import { type Inspection, inspectShard } from '../shard/inspect.ts';
import { countText, sizeText } from './amounts.ts';
import { defineCommand, exitCodes } from './command.ts';
import { backupDocument, backupPage, refuseUnfinishedBackup } from './inspect-backup.ts';
import { existingShard, pathOption } from './offline-shard.ts';
import { configFrom, shardOptions } from './settings.ts';

export const inspectCommand = defineCommand({
  name: 'inspect',
  summary: 'shows checkpoint, sections, table and first records of a shard, or what a backup is of',
  description:
    'Reads what the files of a shard say about it. Changes and locks nothing, so a worker may run beside it; what it shows is then a moment ' +
    'old. To know whether all of it is sound, use verify.',
  operands: {},
  options: {
    sample: {
      kind: 'count',
      placeholder: 'n',
      min: 0,
      max: 1000,
      default: 5,
      summary: 'first records to show, without their values',
    },
    json: { kind: 'flag', summary: 'print it as JSON' },
    ...pathOption,
    ...shardOptions,
  },
  examples: [
    { line: 'permafrost inspect --data-dir ./data', effect: 'see the state of shard 0' },
    {
      line: 'permafrost inspect --path /mnt/snapshot/shard-0000',
      effect: 'see the state of a copy, whatever archive it is of',
    },
    { line: 'permafrost inspect --path /backup/shard-0000', effect: 'see what a backup is of' },
    { line: 'permafrost inspect --sample 20 --json', effect: 'the same for a machine, with twenty records' },
  ],
  async run({ options }, terminal) {
    const config = configFrom(options, terminal.environment);
    const { directory, disk, settings } = await existingShard(config, options.path);
    const backup = await readBackupManifest(disk, backupFile);
    if (backup !== undefined) {
      const { output } = terminal;
      if (options.json) output.write(`${JSON.stringify(backupDocument(directory, backup), null, 2)}\n`);
      else output.write(backupPage(directory, backup));
      return exitCodes.done;
    }
    await refuseUnfinishedBackup(directory, disk);
    const found = await inspectShard(disk, settings.engine, options.sample);
    const text = options.json ? `${JSON.stringify(document(directory, found), null, 2)}\n` : page(directory, found);
    terminal.output.write(text);
    return exitCodes.done;
  },
});

function document(directory: string, { sample, ...found }: Inspection): object {
  return { directory, ...found, sample: sample.map(shown) };
}

/** A record without its value: values may be large, and are not everybody's to see. */
function shown({ key, putId, recordIndex, archivedAtMs, payload }: Envelope): object {
  return { key, putId, recordIndex, archived: new Date(archivedAtMs).toISOString(), payloadBytes: payload.length };
}

function page(directory: string, found: Inspection): string {
  const { identity, saved, mark, sealed } = found;
  const { checkpoint, table } = saved;
  const resize =
    table.resizeProgress === undefined ? 'no resize runs' : `resize at bucket ${countText(table.resizeProgress)}`;
  const rows: readonly (readonly [string, string])[] = [
    ['Shard', `${directory}: archive "${identity.archive}", shard ${identity.shard}`],
    ['Instance', `${identity.instance}, created ${identity.created}`],
    [
      'Format',
      `keys of ${identity.engine.keySize} bytes, pages of ${identity.engine.pageSize}, ${identity.engine.compression ? 'zstd' : 'no compression'}`,
    ],
    [
      'Checkpoint',
      `epoch ${checkpoint.epoch} of ${new Date(saved.savedAtMs).toISOString()}, ${saved.clean ? 'closed cleanly' : 'open, or not closed cleanly'}`,
    ],
    ...(found.slotUnreadable ? [['', 'one of its two slots cannot be read'] as const] : []),
    ['Records', `${countText(found.recordCount)} at the checkpoint, all versions`],
    [
      'Commits',
      mark === undefined
        ? 'none since the shard was made'
        : `${countText(mark.sequence)}; the one before the last ended in section ${mark.previous.section}`,
    ],
    [
      'Table',
      `${countText(checkpoint.tableSize)} buckets, ${found.tableLoad.toFixed(2)} records each, ${sizeText(found.tableBytes)}; ${resize}`,
    ],
    ['Sections', `${countText(sealed.length)} sealed, records go to section ${checkpoint.section}`],
    [
      '',
      `section ${checkpoint.section}: ${sizeText(checkpoint.keyBytes)} of keys, ${sizeText(saved.valueBytes)} of values`,
    ],
    ['Backup', lastText(found.lastBackupMs)],
    ['Scrub', lastText(found.lastScrubMs)],
    ...found.sample.map((record, index) => [index === 0 ? 'First' : '', sampleText(record)] as const),
  ];
  return rows.map(([what, text]) => `${what.padEnd(11)}${text}\n`).join('');
}

function lastText(wallMs: number | undefined): string {
  return wallMs === undefined ? 'none yet' : `last one ${new Date(wallMs).toISOString()}`;
}

function sampleText({ key, archivedAtMs, payload }: Envelope): string {
  return `${JSON.stringify(key)}, ${sizeText(payload.length)}, ${new Date(archivedAtMs).toISOString()}`;
}
