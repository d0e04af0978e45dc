import { resolve } from 'node:path';
import { NodeDisk } from '../disk/node-disk.ts';
import type { Loss } from '../freezer/salvage.ts';
import { shardDirectory } from '../service/shard-config.ts';
import { directoryLock } from '../shard/owner-lock.ts';
import { salvageShard } from '../shard/salvage.ts';
import { countText } from './amounts.ts';
import { defineCommand, exitCodes, type Terminal, UsageError } from './command.ts';
import {
  existingShard,
  madeDirectory,
  PhaseProgress,
  pathOption,
  storeDeps,
  unlessInterrupted,
} from './offline-shard.ts';
import { configFrom, shardOptions } from './settings.ts';

/** Losses that are told one by one. */
const toldMax = 1000;

export const salvageCommand = defineCommand({
  name: 'salvage',
  summary: 'copies what is readable of a damaged shard into a new one',
  description:
    'The old shard is only read. A record is copied when checksums vouch for all of it; nothing is guessed, and every loss is named. The ' +
    'copy is a whole shard in another data directory. A worker runs on it with --trust-volume, since Redis knows the old one. Restoring a ' +
    'backup comes first: salvage is for what no backup has. Ends with 1 when something was lost.',
  operands: {
    target: { summary: 'data directory for the copy; its shard directory must be empty or missing', required: true },
  },
  options: { json: { kind: 'flag', summary: 'print the counts as JSON' }, ...pathOption, ...shardOptions },
  examples: [
    { line: 'permafrost salvage ./data-salvaged --data-dir ./data', effect: 'copy what is readable of shard 0' },
    {
      line: 'permafrost salvage ./data-salvaged && permafrost worker --data-dir ./data-salvaged --trust-volume',
      effect: 'and run it',
    },
  ],
  async run({ operands, options }, terminal) {
    const config = configFrom(options, terminal.environment);
    const source = await existingShard(config, options.path);
    const { settings } = source;
    const directory = shardDirectory({ dataDir: operands.target, shard: settings.shard });
    if (resolve(directory) === resolve(source.directory))
      throw new UsageError('invalid-option', 'the copy needs another directory than the shard');
    const progress = new PhaseProgress('salvage', terminal);
    const target = { disk: new NodeDisk(directory), lock: directoryLock(directory), ...storeDeps(terminal, progress) };
    const report = await unlessInterrupted(terminal, async () => {
      await madeDirectory(directory);
      return salvageShard(source, target, settings, lossTeller(progress, terminal));
    });
    progress.clear();
    if (report === undefined) {
      terminal.notes.write(`permafrost salvage: interrupted; remove ${directory} before the next attempt\n`);
      return exitCodes.interrupted;
    }
    const { recordCount, lossCount, instance } = report;
    const text = `${countText(recordCount)} records copied to ${directory}, ${countText(lossCount)} losses; instance ${instance}`;
    terminal.output.write(`${options.json ? JSON.stringify({ directory, ...report }) : text}\n`);
    return lossCount === 0 ? exitCodes.done : exitCodes.negative;
  },
});

function lossTeller(progress: PhaseProgress, terminal: Terminal): (loss: Loss) => void {
  let count = 0;
  return ({ file, offset, reason, position }) => {
    count++;
    if (count > toldMax + 1) return;
    progress.clear();
    const record = position === undefined ? '' : `, record ${position}`;
    terminal.notes.write(
      count > toldMax ? 'LOST  more, which is only counted\n' : `LOST  ${file} at ${offset}${record}: ${reason}\n`,
    );
  };
}
