import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { codeOf, messageOf } from '../base/errors.ts';
import type { Config } from '../service/config.ts';
import { connectClient } from './archive-client.ts';
import { CliError } from './cli-error.ts';
import { defineCommand, type ExitCode, exitCodes, type Terminal } from './command.ts';
import { filesBelow } from './file-source.ts';
import type { ImportItem } from './import-item.ts';
import { Progress } from './progress.ts';
import { type PutTally, putRunDefaults, runPuts } from './put-run.ts';
import { recordsIn } from './record-source.ts';
import { clientOptions, configFrom } from './settings.ts';
import { archivedCount, ProblemReport, problemText, tallyJson, tallyText } from './tally.ts';

export const importCommand = defineCommand({
  name: 'import',
  summary: 'archives the files of a directory, or the records of an NDJSON file',
  description:
    'From a directory, every regular file below it becomes a record, with its path as the key. From a file, or from standard input ' +
    'with -, every line is a record: {"key": "…", "value": "<base64>"} or {"key": "…", "text": "…"}.\n' +
    'An import that was interrupted is simply run again: what is in the archive with the same value is left as it is. A record that ' +
    'fails does not stop the others; the command ends with 1 when there was one.',
  operands: { source: { summary: 'a directory, an NDJSON file, or - for standard input', required: true } },
  options: {
    prefix: { kind: 'text', placeholder: 'text', default: '', summary: 'comes before each key' },
    'if-exists': {
      kind: 'choice',
      choices: ['skip-same', 'append', 'keep', 'reject'],
      default: 'skip-same',
      summary: 'when a key is there: skip an equal value, store a new version, keep what is there, or refuse',
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
    { line: 'permafrost import orders.ndjson', effect: 'archive the records of a file' },
    { line: 'zcat orders.ndjson.gz | permafrost import -', effect: 'archive what a program prints' },
  ],
  async run({ operands, options }, terminal) {
    const config = configFrom(options, terminal.environment);
    const items = await itemsOf(operands.source, options.prefix, config, terminal);
    const client = await connectClient(config, terminal.clock, { putTimeoutMs: options.timeout * 1000 });
    const progress = new Progress({ label: 'import', unit: 'records' }, terminal.notes, terminal.clock);
    const problems = new ProblemReport(terminal.notes, progress);
    try {
      const settings = { ...putRunDefaults, valueBytesMax: config.limits.valueBytesMax };
      const tally = await runPuts(items, settings, {
        put: async (records) => (await client.put(records, { ifExists: options['if-exists'] })).records,
        problem: (kind, where, reason) => problems.tell(kind, where, reason),
        step: (now) => progress.update(archivedCount(now), undefined, problemText(now)),
        clock: terminal.clock,
        interrupted: terminal.interrupted,
      });
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
    terminal.notes.write('What was acknowledged is stored; run the import again to go on from there.\n');
    return exitCodes.unable;
  }
  if (terminal.interrupted.aborted) {
    terminal.notes.write('permafrost import: interrupted; run it again to go on from here\n');
    return exitCodes.interrupted;
  }
  return tally.failed > 0 ? exitCodes.negative : exitCodes.done;
}

async function itemsOf(
  source: string,
  keyPrefix: string,
  config: Config,
  terminal: Terminal,
): Promise<AsyncIterable<ImportItem>> {
  if (source === '-') return recordLines(terminal.input, keyPrefix, config);
  const found = await stat(source).catch((error: unknown) => {
    throw new CliError('unreadable-input', `${source} cannot be read: ${messageOf(error)}`, { cause: error });
  });
  if (found.isDirectory()) return filesBelow(source, { keyPrefix });
  return recordLines(createReadStream(source, { highWaterMark: 1 << 18 }), keyPrefix, config);
}

async function* recordLines(input: Readable, keyPrefix: string, config: Config): AsyncGenerator<ImportItem> {
  for await (const item of recordsIn(input, lineBytesMax(config))) {
    yield item.kind === 'record' ? { ...item, key: `${keyPrefix}${item.key}` } : item;
  }
}

/** A line of a record within the limits: a key of escapes only, a value in base64 or a text of escapes, and the rest. */
function lineBytesMax({ limits }: Config): number {
  return limits.keyBytesMax * 6 + limits.valueBytesMax * 6 + 1024;
}
