import { writeFile } from 'node:fs/promises';
import { messageOf } from '../base/errors.ts';
import type { FoundRecord, LookupTarget } from '../client/lookups.ts';
import { parseCursor } from '../protocol/cursor-text.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { connectClient } from './archive-client.ts';
import { CliError } from './cli-error.ts';
import { defineCommand, type ExitCode, exitCodes, type Output, type Terminal, UsageError } from './command.ts';
import { clientOptions, configFrom } from './settings.ts';

export const getCommand = defineCommand({
  name: 'get',
  summary: 'prints the newest value of a key',
  description:
    'Looks the key up and writes its newest value, byte for byte, to standard output. Ends with 1 and prints nothing when there is no such ' +
    'record. A record that is there but cannot be read is another thing: that ends with 3 and says why.',
  operands: { key: { summary: 'name of the record; leave it out with --cursor', required: false } },
  options: {
    cursor: {
      kind: 'text',
      placeholder: 'cursor',
      summary: 'read the record at this place (from a receipt) instead of a key',
    },
    output: { kind: 'text', placeholder: 'path', short: 'o', summary: 'write the value to this file' },
    json: { kind: 'flag', summary: 'print key, cursor, time and value (in base64) as JSON' },
    timeout: {
      kind: 'count',
      placeholder: 'seconds',
      min: 1,
      max: 86_400,
      default: 30,
      summary: 'how long to wait for the answer',
    },
    ...clientOptions,
  },
  examples: [
    { line: 'permafrost get order/17', effect: 'print a value' },
    { line: 'permafrost get scans/17.pdf --output 17.pdf', effect: 'write it to a file' },
    { line: 'permafrost get order/17 --json', effect: 'see its cursor and time, too' },
  ],
  async run({ operands, options }, terminal) {
    const target = targetOf(operands.key, options.cursor);
    const config = configFrom(options, terminal.environment);
    const client = await connectClient(config, terminal.clock);
    try {
      const found = await client.lookup(target, { timeoutMs: options.timeout * 1000, signal: terminal.interrupted });
      return await answer(found, options, terminal);
    } catch (error) {
      if (!terminal.interrupted.aborted) throw error;
      return exitCodes.interrupted;
    } finally {
      await client.close();
    }
  },
});

function targetOf(key: string | undefined, cursor: string | undefined): LookupTarget {
  if (key !== undefined && cursor !== undefined)
    throw new UsageError('unexpected-operand', 'give a key or --cursor, not both');
  if (cursor !== undefined) return { cursor: checkedCursor(cursor) };
  if (key === undefined)
    throw new UsageError('missing-operand', '<key> is missing: name a record, or a place with --cursor');
  return key;
}

/** What can be refused without asking anybody is refused before anything is sent. */
function checkedCursor(cursor: string): string {
  try {
    parseCursor(cursor, '--cursor');
    return cursor;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new UsageError('invalid-option', error.message, { cause: error });
  }
}

interface AnswerOptions {
  readonly output: string | undefined;
  readonly json: boolean;
}

async function answer(found: FoundRecord | undefined, options: AnswerOptions, terminal: Terminal): Promise<ExitCode> {
  if (found === undefined) {
    if (options.json) terminal.output.write(`${JSON.stringify({ outcome: 'missing' })}\n`);
    else terminal.notes.write('permafrost get: no such record\n');
    return exitCodes.negative;
  }
  if (options.json) await written(terminal.output, `${JSON.stringify(shown(found))}\n`);
  else if (options.output !== undefined) await stored(options.output, found.value);
  else await written(terminal.output, found.value);
  return exitCodes.done;
}

function shown({ key, cursor, size, time, value }: FoundRecord): object {
  const archived = time === undefined ? {} : { archived: new Date(time).toISOString() };
  return { outcome: 'found', key, cursor, size, ...archived, value: value.toString('base64') };
}

async function stored(file: string, value: Uint8Array): Promise<void> {
  try {
    await writeFile(file, value);
  } catch (error) {
    throw new CliError('unwritable-output', `${file} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

/** Resolves when the bytes have left: a pipe may be slower than the process is quick to end. */
function written(output: Output, chunk: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write(chunk, (error) => (error == null ? resolve() : reject(error)));
  });
}
