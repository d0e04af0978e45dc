import { createHash } from 'node:crypto';
import { codeOf, messageOf } from '../base/errors.ts';
import type { Client } from '../client/client.ts';
import type { ClientRecord } from '../client/record.ts';
import { RecordPutter } from '../jobs/record-putter.ts';
import type { IfExists } from '../protocol/put-job.ts';
import type { Config } from '../service/config.ts';
import { connectClient } from './archive-client.ts';
import { defineCommand, type ExitCode, exitCodes, type Terminal } from './command.ts';
import { type ImportSource, importSource } from './import-source.ts';
import { Progress } from './progress.ts';
import { type PutRunPorts, type PutTally, putRunDefaults, runPuts } from './put-run.ts';
import { clientOptions, configFrom } from './settings.ts';
import { archivedCount, ProblemReport, problemText, tallyJson, tallyText } from './tally.ts';

const ifExistsChoices = ['skip-same', 'versions', 'append', 'keep', 'reject'] as const;

export const importCommand = defineCommand({
  name: 'import',
  summary: 'archives the files of a directory, the records of an NDJSON file, or an export',
  description:
    'From a directory, every regular file below it becomes a record, with its path as the key. From a file, or from standard input ' +
    'with -, every line is a record: {"key": "…", "value": "<base64>"} or {"key": "…", "text": "…"}; ' +
    'a name that ends in .gz or .zst is compressed. A directory that permafrost export has made is read as what it is. Lines of one key ' +
    'are stored in their order.\n' +
    'An import that was interrupted is simply run again: what is in the archive with the same value is left as it is. With --if-exists ' +
    'versions (so it is for exports) every line becomes a version, once, however often the same source is imported. A record that ' +
    'fails does not stop the others; the command ends with 1 when there was one.',
  operands: { source: { summary: 'a directory, an NDJSON file, an export, or - for standard input', required: true } },
  options: {
    prefix: { kind: 'text', placeholder: 'text', default: '', summary: 'comes before each key' },
    'if-exists': {
      kind: 'choice',
      choices: ifExistsChoices,
      summary:
        'when a key is there: skip an equal value (so it is for files and lines), store every line as a version once, store a new ' +
        'version each time, keep what is there, or refuse',
    },
    timeout: {
      kind: 'count',
      placeholder: 'seconds',
      min: 1,
      max: 86_400,
      default: 120,
      summary: 'how long to wait for one receipt',
    },
    json: { kind: 'flag', summary: 'print the counts as JSON' },
    ...clientOptions,
  },
  examples: [
    {
      line: 'permafrost import ./scans --prefix scans/',
      effect: 'archive a directory; run it again to archive what is new',
    },
    { line: 'permafrost import orders.ndjson.zst', effect: 'archive the records of a file' },
    { line: 'permafrost import ./export', effect: 'archive what permafrost export has written, with all versions' },
    { line: "psql -c 'copy …' | permafrost import -", effect: 'archive what a program prints' },
  ],
  async run({ operands, options }, terminal) {
    const config = configFrom(options, terminal.environment);
    const source = await importSource(operands.source, terminal.input, {
      keyPrefix: options.prefix,
      lineBytesMax: lineBytesMax(config),
    });
    const rule = ruleOf(options['if-exists'], source.kind);
    const client = await connectClient(config, terminal.clock, { putTimeoutMs: options.timeout * 1000 });
    const progress = new Progress({ label: 'import', unit: 'records' }, terminal.notes, terminal.clock);
    const problems = new ProblemReport(terminal.notes, progress);
    try {
      const { valueBytesMax } = config.limits;
      // Batches that are to be the same each time must not depend on the speed of the source.
      const lingerMs = rule === 'versions' ? undefined : putRunDefaults.lingerMs;
      const tally = await runPuts(
        source.items,
        { ...putRunDefaults, lingerMs, valueBytesMax },
        {
          put: putterOf(client, rule),
          problem: (kind, where, reason) => problems.tell(kind, where, reason),
          step: (now) => progress.update(archivedCount(now), undefined, problemText(now)),
          clock: terminal.clock,
          interrupted: terminal.interrupted,
        },
      );
      progress.end();
      terminal.output.write(options.json ? `${JSON.stringify(tallyJson(tally))}\n` : `${tallyText(tally)}\n`);
      return statusOf(tally, terminal);
    } finally {
      await client.close();
    }
  },
});

function statusOf(tally: PutTally, terminal: Terminal): ExitCode {
  if (tally.stopped !== undefined) {
    const code = codeOf(tally.stopped);
    terminal.notes.write(
      `permafrost import: stopped: ${messageOf(tally.stopped)}${code === undefined ? '' : ` (${code})`}\n`,
    );
    const again = code === 'unreadable-input' ? 'with the source whole, run the import again' : 'run the import again';
    terminal.notes.write(`What was acknowledged is stored; ${again} to go on from there.\n`);
    return exitCodes.unable;
  }
  if (terminal.interrupted.aborted) {
    terminal.notes.write('permafrost import: interrupted; run it again to go on from here\n');
    return exitCodes.interrupted;
  }
  return tally.failed > 0 ? exitCodes.negative : exitCodes.done;
}

/** The choice of `--if-exists`, or what suits the source. */
function ruleOf(choice: string | undefined, source: ImportSource['kind']): 'versions' | IfExists {
  const rule = ifExistsChoices.find((each) => each === choice);
  if (rule !== undefined) return rule;
  return source === 'export' ? 'versions' : 'skip-same';
}

/** Puts batches as the rule says. */
function putterOf(client: Client, rule: 'versions' | IfExists): PutRunPorts['put'] {
  if (rule === 'skip-same') {
    // It can compare also where an archive has grown, and does not do so itself.
    const putter = new RecordPutter(client);
    return (records) => putter.put(records);
  }
  if (rule !== 'versions') return async (records) => (await client.put(records, { ifExists: rule })).records;
  return async (records, batch) => {
    const receipt = await client.put(records, { id: batchId(records, batch), repeat: true });
    return receipt.records;
  };
}

/** Always the same for the same batch: a run that is repeated puts what is there already under the id that it has. */
function batchId(records: readonly ClientRecord[], batch: string): string {
  const digest = createHash('sha256').update(batch);
  for (const { key, value } of records) {
    digest
      .update(`\0${Buffer.byteLength(key)} ${Buffer.byteLength(value)} `)
      .update(key)
      .update(value);
  }
  return `import-${digest.digest('hex')}`;
}

/** A line of a record within the limits: a key of escapes only, a value in base64 or a text of escapes, and the rest. */
function lineBytesMax({ limits }: Config): number {
  return limits.keyBytesMax * 6 + limits.valueBytesMax * 6 + 1024;
}
