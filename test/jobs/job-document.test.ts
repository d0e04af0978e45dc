import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseExactly } from '../../src/jobs/exact-json.ts';
import { encodeDocument } from '../../src/jobs/job-document.ts';
import type { JobSnapshot, Pair } from '../../src/jobs/job-snapshot.ts';
import { queueAddress } from '../../src/jobs/queue-address.ts';

const address = queueAddress('mail');

function snapshot(fields: Readonly<Record<string, string | Buffer>>, more: Partial<JobSnapshot> = {}): JobSnapshot {
  const pairs = Object.entries(fields).map(([name, value]): Pair => [Buffer.from(name), Buffer.from(value)]);
  return {
    ...{ id: '17', state: 'completed', finishedOn: 5, score: '5', digest: '', fields: pairs, logs: [] },
    ...{ processedChildren: [], failedChildren: [], unsuccessfulChildren: [], ...more },
  };
}

const parsed = (job: JobSnapshot) => JSON.parse(encodeDocument(address, job));

test('the document is the same whatever the order in which Redis gives the fields and the children', () => {
  const pairs = ['name', 'data', 'opts', 'zeta', 'alpha', 'atm'].map(
    (name): Pair => [Buffer.from(name), Buffer.from('1')],
  );
  const expected = encodeDocument(address, { ...snapshot({}), fields: pairs, processedChildren: pairs });
  fc.assert(
    fc.property(fc.shuffledSubarray(pairs, { minLength: pairs.length }), (fields) => {
      assert.equal(encodeDocument(address, { ...snapshot({}), fields, processedChildren: fields }), expected);
    }),
  );
  assert.match(expected, /"finishedOn":5,"name":"1","data":1,"opts":1,"attemptsMade":1,"logs":\[\]/);
});

test('any bytes in any field come back from the document', () => {
  const names = ['name', 'data', 'opts', 'returnvalue', 'failedReason', 'timestamp', 'progress', 'unknown'];
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.uint8Array(), (name, bytes) => {
      const value = Buffer.from(bytes);
      const { raw = {}, rawBase64 = {}, ...members } = parsed(snapshot({ [name]: value }));
      const kept = rawBase64[name] === undefined ? raw[name] : undefined;
      if (rawBase64[name] !== undefined) assert.deepEqual(Buffer.from(rawBase64[name], 'base64'), value);
      else if (kept !== undefined) assert.equal(kept, value.toString());
      else if (['name', 'failedReason'].includes(name)) assert.equal(members[name], value.toString());
      else assert.deepEqual(members[name], JSON.parse(value.toString()));
    }),
  );
});

test('JSON stands in it as it was written', () => {
  const data = ' {"big": 123456789012345678901234567890, "b":1,"a":2 , "e":1e400}';
  assert.ok(encodeDocument(address, snapshot({ data })).includes(`"data":${data},`));
  const read = parseExactly(encodeDocument(address, snapshot({ data })));
  const text = JSON.stringify(read);
  assert.match(text, /"data":\{"big":123456789012345678901234567890,"b":1,"a":2,"e":1e400\}/);
});

test('what a parent knows of its children stands in it, and what is no JSON in raw', () => {
  const key = Buffer.from('bull:mail:1');
  const job = snapshot(
    {},
    {
      processedChildren: [
        [key, Buffer.from('{"sent":true}')],
        [Buffer.from('bull:mail:2'), Buffer.from('{no')],
      ],
      failedChildren: [[key, Buffer.from('no address')]],
      unsuccessfulChildren: [key],
      logs: [Buffer.from('line'), Buffer.from([0xff])],
    },
  );
  const { children, raw, rawBase64, logs } = parsed(job);
  assert.deepEqual(children, {
    processed: { 'bull:mail:1': { sent: true }, 'bull:mail:2': null },
    failed: { 'bull:mail:1': 'no address' },
    unsuccessful: ['bull:mail:1'],
  });
  assert.deepEqual(
    [raw, rawBase64, logs],
    [{ 'children.processed.bull:mail:2': '{no' }, { 'logs[1]': '/w==' }, ['line', null]],
  );
});

test('a field of the hash that names the same as another one is kept beside it', () => {
  const { attemptsMade, raw } = parsed(snapshot({ atm: '3', attemptsMade: '2', finishedOn: '4' }));
  assert.deepEqual([attemptsMade, raw], [3, { attemptsMade: '2', finishedOn: '4' }]);
});

test('no name of a field is special', () => {
  const fields = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}');
  const { raw } = parsed(snapshot(fields));
  assert.deepEqual(Object.entries(raw).sort(), [
    ['__proto__', 'a'],
    ['constructor', 'b'],
    ['toString', 'c'],
  ]);
});
