import { verifyShard } from '../shard/verify.ts';
import { defineCommand, exitCodes } from './command.ts';
import { existingShard, PhaseProgress, pathOption, storeDeps, unlessInterrupted } from './offline-shard.ts';
import { configFrom, shardOptions } from './settings.ts';
import { tellVerdict } from './verify-verdict.ts';

export const verifyCommand = defineCommand({
  name: 'verify',
  summary: 'checks a shard that no worker runs: every checksum, every record reachable',
  description:
    'Reads all of a shard: every page, slot and value against its checksum, every record from its key, and all counts. The worker must be ' +
    'stopped (to check a running one, back it up and restore the backup with --verify, or check a snapshot of its volume). A shutdown that was cut short is recovered first, as a ' +
    'worker would do it. Ends with 1 when something is damaged, and names file and place.',
  operands: {},
  options: { json: { kind: 'flag', summary: 'print the report as JSON' }, ...pathOption, ...shardOptions },
  examples: [
    { line: 'permafrost verify --data-dir ./data', effect: 'check shard 0 of a data directory' },
    { line: 'permafrost verify --shard 3 --json', effect: 'check another shard, for a machine' },
    { line: 'permafrost verify --path /mnt/snapshot/shard-0000', effect: 'check a copy, whatever archive it is of' },
  ],
  async run({ options }, terminal) {
    const config = configFrom(options, terminal.environment);
    const { directory, disk, lock, settings } = await existingShard(config, options.path);
    const progress = new PhaseProgress('verify', terminal);
    const deps = { disk, lock, ...storeDeps(terminal, progress) };
    const report = await unlessInterrupted(terminal, () => verifyShard(deps, settings));
    progress.clear();
    if (report === undefined) return exitCodes.interrupted;
    if (options.json) terminal.output.write(`${JSON.stringify({ directory, ...report })}\n`);
    else tellVerdict(report, directory, terminal.output);
    return report.problemCount === 0 ? exitCodes.done : exitCodes.negative;
  },
});
