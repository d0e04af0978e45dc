import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientError } from '../../src/client/client-error.ts';
import type { ClientRecord } from '../../src/client/record.ts';
import { type ArchiveClient, RecordPutter } from '../../src/jobs/record-putter.ts';

/** An archive of several shards in memory: it refuses to compare, as the real one does for keys with several homes. */
class SeveralHomes implements ArchiveClient {
  readonly stored = new Map<string, Buffer>();
  readonly puts: string[] = [];

  async put(records: ClientRecord | readonly ClientRecord[], options: Parameters<ArchiveClient['put']>[1] = {}) {
    const list: readonly ClientRecord[] = [records].flat();
    this.puts.push(`${options.ifExists}: ${list.map(({ key }) => key).join(' ')}`);
    if (options.ifExists !== 'append') {
      const details = { reason: 'several-homes' };
      throw new ClientError('refused', 'refused (several-homes)', { details });
    }
    for (const { key, value } of list) this.stored.set(key, Buffer.from(value));
    return { id: 'x', records: list.map(({ key }) => ({ key, cursor: '', outcome: 'stored' as const })) };
  }

  async lookupMany(targets: Parameters<ArchiveClient['lookupMany']>[0]) {
    return targets.map((target) => {
      const value = this.stored.get(String(target));
      if (value === undefined) return { outcome: 'missing' as const };
      return { outcome: 'found' as const, key: String(target), cursor: '', value, size: value.length, time: 0 };
    });
  }
}

test('where the archive cannot compare, the putter does: what is there already is not stored again', async () => {
  const client = new SeveralHomes();
  const putter = new RecordPutter(client);
  const [a, b] = [
    { key: 'a', value: 'one' },
    { key: 'b', value: Buffer.from('two') },
  ];
  const outcomes = async (...records: ClientRecord[]) =>
    (await putter.put(records)).map((each) => `${each.key} ${each.outcome}`);
  assert.deepEqual(await outcomes(a), ['a stored']);
  assert.deepEqual(await outcomes(a, b), ['a unchanged', 'b stored']);
  assert.deepEqual(await outcomes(a, b), ['a unchanged', 'b unchanged']);
  assert.deepEqual(await outcomes({ ...a, value: 'new' }), ['a stored']);
  // It asks the archive to compare only once.
  assert.deepEqual(client.puts, ['skip-same: a', 'append: a', 'append: b', 'append: a']);
});

test('versions of one key that come together are compared with each other, and the last one is the newest', async () => {
  const client = new SeveralHomes();
  const putter = new RecordPutter(client);
  const outcomes = async (...values: string[]) =>
    (await putter.put(values.map((value) => ({ key: 'a', value })))).map(({ outcome }) => outcome);
  assert.deepEqual(await outcomes('one', 'one', 'two'), ['stored', 'unchanged', 'stored']);
  assert.deepEqual(await outcomes('one', 'two'), ['stored', 'stored']);
  assert.deepEqual(await outcomes('two', 'one', 'two'), ['unchanged', 'stored', 'stored']);
  assert.equal(client.stored.get('a')?.toString(), 'two');
});

test('another refusal is passed on', async () => {
  const client = new SeveralHomes();
  client.put = () => Promise.reject(new ClientError('refused', 'no', { details: { reason: 'limit-exceeded' } }));
  await assert.rejects(new RecordPutter(client).put([{ key: 'a', value: 'one' }]), { code: 'refused' });
});
