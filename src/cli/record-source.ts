import { messageOf } from '../base/errors.ts';
import { decodeBase64 } from '../protocol/base64.ts';
import { CliError } from './cli-error.ts';
import type { ImportItem } from './import-item.ts';
import { linesOf } from './lines.ts';

/**
 * The records of newline-delimited JSON: `{"key": "…", "value": "<base64>"}` or `{"key": "…", "text": "…"}` a line.
 *
 * Empty lines are passed over; a line that is no record becomes a `failed` item with its number, and the next line
 * goes on. Further members of a line are ignored.
 */
export async function* recordsIn(chunks: AsyncIterable<Uint8Array>, lineBytesMax: number): AsyncGenerator<ImportItem> {
  for await (const line of linesOf(chunks, lineBytesMax)) {
    const where = `line ${line.number}`;
    if (line.kind === 'too-long') {
      yield {
        kind: 'failed',
        where,
        reason: `more than ${lineBytesMax} bytes, the most that a record within the limits takes`,
      };
    } else if (line.bytes.length > 0) {
      yield recordOf(line.bytes, where);
    }
  }
}

function recordOf(line: Buffer, where: string): ImportItem {
  try {
    const { key, value } = parsedRecord(line);
    return { kind: 'record', where, key, size: value.length, part: false, load: () => Promise.resolve(value) };
  } catch (error) {
    return { kind: 'failed', where, reason: messageOf(error) };
  }
}

/** Fatal: a replaced byte would archive something else than was given. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The record in a line; the text of a refusal names the member and never quotes the line. */
function parsedRecord(line: Buffer): { readonly key: string; readonly value: Uint8Array } {
  const { key, value, text } = jsonObject(line);
  if (typeof key !== 'string') throw refused('"key" is not a string');
  if ((value === undefined) === (text === undefined)) throw refused('needs one of "value" and "text"');
  if (text !== undefined) {
    if (typeof text !== 'string') throw refused('"text" is not a string');
    if (!text.isWellFormed()) throw refused('"text" has half of a surrogate pair');
    return { key, value: Buffer.from(text) };
  }
  if (typeof value !== 'string') throw refused('"value" is not a string');
  return { key, value: decodeBase64(value, 'value') };
}

function jsonObject(line: Buffer): Readonly<Record<string, unknown>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(utf8.decode(line));
  } catch {
    throw refused('not JSON in UTF-8');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw refused('not a JSON object');
  return { ...parsed };
}

function refused(reason: string): CliError {
  return new CliError('invalid-record', reason);
}
