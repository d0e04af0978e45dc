import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseInvocation } from '../../src/cli/arguments.ts';
import { commands } from '../../src/cli/commands.ts';
import { newestKey, partKey, recordKey } from '../../src/jobs/archive-key.ts';
import { decodeRecord, indexedCountMax } from '../../src/jobs/archived-job.ts';
import { stayReasons } from '../../src/jobs/job-snapshot.ts';
import { queueAddress } from '../../src/jobs/queue-address.ts';

const page = readFileSync(new URL('../../docs/JOBS.md', import.meta.url), 'utf8');

test('the page explains every reason that a job may stay for', () => {
  const [, table = ''] = page.split('| reason | |\n');
  const rows = [...(table.split('\n\n')[0] ?? '').matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]);
  assert.deepEqual([...rows].sort(), [...stayReasons].sort());
});

test('the page names the keys as they are made', () => {
  const address = queueAddress('<queue>', '<prefix>');
  const keys = [
    recordKey(address, '<id>', 5).replace(':5', ':<finished on>'),
    newestKey(address, '<id>'),
    partKey(address, '<id>', 5, 1).replace(':5', ':<finished on>').replace('part-1', 'part-<n>'),
  ];
  for (const key of keys) assert.ok(page.includes(`| \`${key}\` |`), key);
  assert.ok(page.includes(`at most ${indexedCountMax}`));
  assert.match(newestKey(queueAddress('q', 'a:b%'), 'x'.repeat(257)), /^bull:a%3Ab%25:q:sha256-[0-9a-f]{64}:newest$/);
});

test('the document on the page is one that is read', () => {
  const [, json = ''] = /```json\n(.*?)```/s.exec(page) ?? [];
  const end = { address: queueAddress('mail'), id: '17', finishedOn: 1933286400120 };
  assert.equal(decodeRecord(Buffer.from(json), end).kind, 'document');
});

test('every command line on the page is one that the commands take', () => {
  const lines = [...page.matchAll(/^permafrost (.*)$/gm)].map((match) => match[1] ?? '');
  assert.ok(lines.length >= 8);
  for (const line of lines) {
    const [name = '', ...words] = (line.split(/ [#|] /)[0] ?? '').trim().split(/ +/);
    const command = commands.find((each) => each.name === name);
    assert.ok(command !== undefined, name);
    parseInvocation(
      command,
      words.filter((word) => word !== '#'),
    );
  }
});
