import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Line, linesOf } from '../../src/cli/lines.ts';

async function* cut(text: string, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < text.length; start += size) yield Buffer.from(text.slice(start, start + size));
}

async function shown(text: string, chunkSize: number, lineBytesMax = 100): Promise<readonly string[]> {
  const lines: string[] = [];
  const show = (line: Line): string =>
    `${line.number} ${line.kind === 'line' ? JSON.stringify(line.bytes.toString()) : line.kind}`;
  for await (const line of linesOf(cut(text, chunkSize), lineBytesMax)) lines.push(show(line));
  return lines;
}

test('lines are the same however the stream is cut', async () => {
  const text = 'one\ntwo\r\n\nlast';
  for (let size = 1; size <= text.length; size++) {
    assert.deepEqual(await shown(text, size), ['1 "one"', '2 "two"', '3 ""', '4 "last"'], `chunks of ${size}`);
  }
});

test('a line end at the very end opens no further line, and nothing has no line', async () => {
  assert.deepEqual(await shown('one\n', 2), ['1 "one"']);
  assert.deepEqual(await shown('', 2), []);
});

test('a line above the limit is dropped and named, and the next one is read', async () => {
  assert.deepEqual(await shown('12345\n123456\n1\n', 4, 5), ['1 "12345"', '2 too-long', '3 "1"']);
  assert.deepEqual(await shown('123456', 2, 5), ['1 too-long']);
});
