import { readFile } from 'node:fs/promises';
import { codeOf, messageOf } from '../base/errors.ts';
import { connectClient } from './archive-client.ts';
import { CliError } from './cli-error.ts';
import { defineCommand, exitCodes, type Terminal, UsageError } from './command.ts';
import { isRefusal } from './refusal.ts';
import { clientOptions, configFrom } from './settings.ts';

export const putCommand = defineCommand({
  name: 'put',
  summary: 'archives one record and says where it is once it is on disk',
  description:
    'Archives the value under the key. It is given as an argument, as a file, or on standard input. When the command ends with 0, the ' +
    'record is on disk. The line that it prints holds the cursor, with which the record can be read without the index.',
  operands: {
    key: { summary: 'name of the record, any text up to the limit', required: true },
    value: { summary: 'its value as text; without it, or with -, standard input is read', required: false },
  },
  options: {
    file: { kind: 'text', placeholder: 'path', short: 'f', summary: 'take the value from this file' },
    'if-exists': {
      kind: 'choice',
      choices: ['append', 'skip-same', 'keep', 'reject'],
      default: 'append',
      summary: 'when the key is there: store a new version, skip an equal value, keep what is there, or refuse',
    },
    id: { kind: 'text', placeholder: 'id', summary: 'name of this put: the same id again stores nothing twice' },
    timeout: {
      kind: 'count',
      placeholder: 'seconds',
      min: 1,
      max: 86_400,
      default: 60,
      summary: 'how long to wait for the receipt',
    },
    json: { kind: 'flag', summary: 'print the receipt as JSON' },
    ...clientOptions,
  },
  examples: [
    { line: "permafrost put order/17 'paid'", effect: 'archive a text' },
    { line: 'permafrost put scans/17.pdf --file 17.pdf', effect: 'archive a file' },
    { line: 'pg_dump shop | permafrost put dumps/shop-2026-01-31', effect: 'archive what a program prints' },
    {
      line: 'permafrost put order/17 paid --if-exists skip-same',
      effect: 'store nothing when the newest value is the same',
    },
  ],
  async run({ operands, options }, terminal) {
    const config = configFrom(options, terminal.environment);
    const value = await givenValue(operands.value, options.file, terminal, config.limits.valueBytesMax);
    if (value === undefined) return exitCodes.interrupted;
    const client = await connectClient(config, terminal.clock);
    try {
      const receipt = await client.put(
        { key: operands.key, value },
        {
          ifExists: options['if-exists'],
          timeoutMs: options.timeout * 1000,
          signal: terminal.interrupted,
          // An id that is given may be one that was sent before: that is what it is given for.
          ...(options.id === undefined ? {} : { id: options.id, repeat: true }),
        },
      );
      const [record] = receipt.records;
      const text = options.json
        ? JSON.stringify({ id: receipt.id, ...record })
        : `${record?.outcome} ${operands.key} at ${record?.cursor}`;
      terminal.output.write(`${text}\n`);
      return exitCodes.done;
    } catch (error) {
      if (isRefusal(error)) {
        terminal.notes.write(`permafrost put: not stored: ${messageOf(error)} (${codeOf(error)})\n`);
        return exitCodes.negative;
      }
      if (!terminal.interrupted.aborted) throw error;
      terminal.notes.write('permafrost put: interrupted; the record may be stored all the same\n');
      return exitCodes.interrupted;
    } finally {
      await client.close();
    }
  },
});

/** The value, or `undefined` after an interruption. */
async function givenValue(
  text: string | undefined,
  file: string | undefined,
  terminal: Terminal,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  if (file !== undefined) {
    if (text !== undefined) throw new UsageError('unexpected-operand', 'give a value or --file, not both');
    return contentOf(file);
  }
  if (text !== undefined && text !== '-') return Buffer.from(text);
  if (terminal.input.isTTY === true) terminal.notes.write('reading the value from the terminal; end it with Ctrl-D\n');
  const { input, interrupted } = terminal;
  interrupted.addEventListener('abort', () => input.destroy(), { once: true });
  try {
    return await bytesOf(input, bytesMax);
  } catch (error) {
    if (interrupted.aborted) return undefined;
    throw new CliError('unreadable-input', `standard input cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

async function contentOf(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new CliError('unreadable-input', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** All of a stream; one byte more than the limit is enough to be refused, so no more is kept. */
async function bytesOf(stream: AsyncIterable<Uint8Array | string>, bytesMax: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk);
    chunks.push(bytes);
    size += bytes.length;
    if (size > bytesMax) break;
  }
  return Buffer.concat(chunks);
}
