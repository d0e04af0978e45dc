import { shardSettings } from '../service/shard-config.ts';
import { type VerifyReport, verifyShard } from '../shard/verify.ts';
import { countText, sizeText } from './amounts.ts';
import { defineCommand, exitCodes, type Output } from './command.ts';
import { existingShard, PhaseProgress, storeDeps, unlessInterrupted } from './offline-shard.ts';
import { configFrom, shardOptions } from './settings.ts';

export const verifyCommand = defineCommand({
  name: 'verify',
  summary: 'checks a shard that no worker runs: every checksum, every record reachable',
  description:
    'Reads all of a shard: every page, slot and value against its checksum, every record from its key, and all counts. The worker must be ' +
    'stopped (to check a running shard, check a copy or snapshot of its volume). A shutdown that was cut short is recovered first, as a ' +
    'worker would do it. Ends with 1 when something is damaged, and names file and place.',
  operands: {},
  options: { json: { kind: 'flag', summary: 'print the report as JSON' }, ...shardOptions },
  examples: [
    { line: 'permafrost verify --data-dir ./data', effect: 'check shard 0 of a data directory' },
    { line: 'permafrost verify --shard 3 --json', effect: 'check another shard, for a machine' },
  ],
  async run({ options }, terminal) {
    const config = configFrom(options, terminal.environment);
    const { directory, disk, lock } = await existingShard(config);
    const progress = new PhaseProgress('verify', terminal);
    const deps = { disk, lock, ...storeDeps(terminal, progress) };
    const report = await unlessInterrupted(terminal, () => verifyShard(deps, shardSettings(config)));
    progress.clear();
    if (report === undefined) return exitCodes.interrupted;
    if (options.json) terminal.output.write(`${JSON.stringify({ directory, ...report })}\n`);
    else tell(report, directory, terminal.output);
    return report.problemCount === 0 ? exitCodes.done : exitCodes.negative;
  },
});

function tell(report: VerifyReport, directory: string, output: Output): void {
  const { shard, recordCount, payloadBytes, sectionCount, problems, problemCount } = report;
  for (const problem of problems) output.write(`DAMAGED  ${problem}\n`);
  if (problems.length < problemCount) output.write(`DAMAGED  and ${countText(problemCount - problems.length)} more\n`);
  output.write(
    `Shard    ${directory}${shard === undefined ? ', which cannot be opened' : `, instance ${shard.instance}`}\n`,
  );
  if (shard !== undefined)
    output.write(`State    checkpoint epoch ${shard.epoch}, table of ${countText(shard.tableSize)} buckets\n`);
  output.write(
    `Read     ${countText(recordCount)} records in ${sectionCount === 1 ? 'one section' : `${countText(sectionCount)} sections`}, ${sizeText(payloadBytes)}\n`,
  );
  output.write(
    problemCount === 0
      ? 'Verdict  sound: every checksum is right, every record is reached from its key\n'
      : `Verdict  ${countText(problemCount)} problems; restore the volume from a backup, or copy what is readable with permafrost salvage\n`,
  );
}
