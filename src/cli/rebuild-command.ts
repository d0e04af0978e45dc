import { rebuildShard } from '../shard/rebuild.ts';
import { countText } from './amounts.ts';
import { defineCommand, exitCodes } from './command.ts';
import { existingShard, PhaseProgress, pathOption, storeDeps, unlessInterrupted } from './offline-shard.ts';
import { configFrom, shardOptions } from './settings.ts';

export const rebuildCommand = defineCommand({
  name: 'rebuild',
  summary: "makes a shard's table anew from its key index",
  description:
    'For a table that is lost or damaged while the sections are sound: verify names the table then, or a worker refuses to start because ' +
    'of it. The worker must be stopped. All keys are read once; the new table takes the place of the old one when it is whole, so the ' +
    'command can be stopped at any moment. It ends with the shard opened, looked through and closed cleanly. Damaged sections are not for ' +
    'this command: restore a backup, or salvage.',
  operands: {},
  options: { json: { kind: 'flag', summary: 'print the report as JSON' }, ...pathOption, ...shardOptions },
  examples: [
    { line: 'permafrost rebuild --data-dir ./data', effect: 'make the table of shard 0 anew' },
    {
      line: 'permafrost rebuild --path /data/shard-0003 && permafrost verify --path /data/shard-0003',
      effect: 'and check it',
    },
  ],
  async run({ options }, terminal) {
    const config = configFrom(options, terminal.environment);
    const { directory, disk, lock, settings } = await existingShard(config, options.path);
    const progress = new PhaseProgress('rebuild', terminal);
    const deps = { disk, lock, ...storeDeps(terminal, progress) };
    const report = await unlessInterrupted(terminal, () => rebuildShard(deps, settings));
    progress.clear();
    if (report === undefined) {
      terminal.notes.write('permafrost rebuild: interrupted; the table is the old one or the new one, run it again\n');
      return exitCodes.interrupted;
    }
    const { recordCount, tableSize, epoch } = report;
    const text = `${directory}: table of ${countText(tableSize)} buckets made from ${countText(recordCount)} records, checkpoint epoch ${epoch}`;
    terminal.output.write(`${options.json ? JSON.stringify({ directory, ...report }) : text}\n`);
    return exitCodes.done;
  },
});
