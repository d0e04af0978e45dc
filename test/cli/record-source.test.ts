import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { recordsIn } from '../../src/cli/record-source.ts';

async function read(...lines: (string | Buffer)[]): Promise<readonly string[]> {
  const bytes = Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')]));
  const shown: string[] = [];
  for await (const item of recordsIn(Readable.from([bytes]), 200)) {
    if (item.kind === 'record')
      shown.push(`${item.where}: ${item.key} = ${Buffer.from(await item.load()).toString('latin1')}`);
    else shown.push(`${item.where}: ${item.kind}: ${item.reason}`);
  }
  return shown;
}

test('values come as base64 or as text, and empty lines are passed over', async () => {
  assert.deepEqual(
    await read('{"key":"a","value":"/wA="}', '', '{"key":"b","text":"äb","more":1}', '{"key":"c","text":""}'),
    ['line 1: a = \xff\x00', 'line 3: b = \xc3\xa4b', 'line 4: c = '],
  );
});

test('a line that is no record fails with its number and what is wrong, and the next one is read', async () => {
  const failures = await read(
    'nonsense',
    '[1]',
    'null',
    '{"value":""}',
    '{"key":1,"value":""}',
    '{"key":"a"}',
    '{"key":"a","value":"","text":""}',
    '{"key":"a","value":7}',
    '{"key":"a","text":7}',
    '{"key":"a","value":"not base64"}',
    '{"key":"a","value":"YQ"}',
    '{"key":"a","text":"\\ud800"}',
    Buffer.from('{"key":"a","text":"\xff"}', 'latin1'),
    '{"__proto__":{"key":"a","text":"b"}}',
    `{"key":"a","text":"${'x'.repeat(200)}"}`,
    '{"key":"good","text":"yes"}',
  );
  assert.deepEqual(failures, [
    'line 1: failed: not JSON in UTF-8',
    'line 2: failed: not a JSON object',
    'line 3: failed: not a JSON object',
    'line 4: failed: "key" is not a string',
    'line 5: failed: "key" is not a string',
    'line 6: failed: needs one of "value" and "text"',
    'line 7: failed: needs one of "value" and "text"',
    'line 8: failed: "value" is not a string',
    'line 9: failed: "text" is not a string',
    'line 10: failed: value: not strict base64 (RFC 4648 section 4, padded)',
    'line 11: failed: value: not strict base64 (RFC 4648 section 4, padded)',
    'line 12: failed: "text" has half of a surrogate pair',
    'line 13: failed: not JSON in UTF-8',
    'line 14: failed: "key" is not a string',
    'line 15: failed: more than 200 bytes, the most that a record within the limits takes',
    'line 16: good = yes',
  ]);
});
