import type { VerifyReport } from '../shard/verify.ts';
import { countText, sizeText } from './amounts.ts';
import type { Output } from './command.ts';

/** What a verification found, for people. */
export function tellVerdict(report: VerifyReport, directory: string, output: Output): void {
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
