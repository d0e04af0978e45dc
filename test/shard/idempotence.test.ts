import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PutRequest, PutResult } from '../../src/shard/put-request.ts';
import { type OpenedShard, openShard, put, settled, textOf, turns } from './shard-harness.ts';

/** Outcomes of puts that are sent together, each as `stored,kept…` or the code of its refusal. */
async function outcomes({ shard, clock }: OpenedShard, requests: readonly PutRequest[]): Promise<string[]> {
  const all = Promise.allSettled(requests.map((request) => shard.put(request)));
  return (await settled(all, clock)).map((result) =>
    result.status === 'fulfilled' ? summary(result.value) : (result.reason as { code: string }).code,
  );
}

function summary(result: PutResult): string {
  return result.records.map(({ outcome }) => outcome).join();
}

async function cursorsOf({ shard, clock }: OpenedShard, request: PutRequest): Promise<string[]> {
  const result = await settled(shard.put(request), clock);
  return result.records.map(({ cursor }) => cursor.toString('hex'));
}

describe('a put that is delivered again', () => {
  test('stores nothing and names the records that it stored the first time', async () => {
    const opened = await openShard();
    const request = put('p1', { a: '1', b: '2' });
    const first = await cursorsOf(opened, request);
    assert.deepEqual(await outcomes(opened, [{ ...request, redelivered: true }]), ['unchanged,unchanged']);
    assert.deepEqual(await cursorsOf(opened, { ...request, redelivered: true }), first);
    await opened.shard.close();
  });

  test('does not undo what was put since', async () => {
    const opened = await openShard();
    const request = put('p1', { a: 'old' });
    await outcomes(opened, [request]);
    await outcomes(opened, [put('p2', { a: 'new' })]);
    assert.deepEqual(await outcomes(opened, [{ ...request, redelivered: true }]), ['unchanged']);
    assert.equal(await textOf(opened.shard, 'a'), '=new');
    await opened.shard.close();
  });

  test('is completed when only a part of it was stored', async () => {
    const opened = await openShard();
    await outcomes(opened, [put('p1', { a: '1' })]);
    const whole = put('p1', { a: '1', b: '2' }, { redelivered: true });
    assert.deepEqual(await outcomes(opened, [whole]), ['unchanged,stored']);
    assert.equal(await textOf(opened.shard, 'b'), '=2');
    await opened.shard.close();
  });

  test('is recognised beside its first delivery in one batch', async () => {
    const opened = await openShard();
    const request = put('p1', { a: '1', b: '2' });
    const again = { ...request, redelivered: true };
    assert.deepEqual(await outcomes(opened, [request, again, again]), [
      'stored,stored',
      'unchanged,unchanged',
      'unchanged,unchanged',
    ]);
    await opened.shard.close();
  });

  test('knows its records by their places in the put, also when fewer of them come, as after a growth', async () => {
    const opened = await openShard();
    const whole = put('p1', { a: '1', b: '2', c: '3' });
    const [, of2 = whole.records[0], of3 = whole.records[0]] = whole.records;
    assert.ok(of2 !== undefined && of3 !== undefined);
    // The newest version of b is the last one, and stays it.
    const both = { ...whole, records: [...whole.records, { ...of2, payload: Buffer.from('2 again') }] };
    await outcomes(opened, [both]);
    const part = { ...both, redelivered: true, records: both.records.slice(1), places: [1, 2, 3] };
    assert.deepEqual(await outcomes(opened, [part]), ['unchanged,unchanged,unchanged']);
    const other = { ...both, redelivered: true, records: [of3], places: [7] };
    assert.deepEqual(await outcomes(opened, [other, { ...other, putId: 'p2', redelivered: false }]), [
      'stored',
      'stored',
    ]);
    assert.deepEqual(await outcomes(opened, [other, { ...other, putId: 'p2' }]), ['unchanged', 'unchanged']);
    for (const places of [[1], [2, 1, 3], [1, 1, 3]])
      assert.deepEqual(await outcomes(opened, [{ ...part, places }]), ['invalid-request']);
    assert.equal(await textOf(opened.shard, 'b'), '=2 again');
    await opened.shard.close();
  });

  test('keeps records of one key in one put apart', async () => {
    const opened = await openShard();
    const request = put('p1', [
      ['a', 'first'],
      ['a', 'second'],
    ]);
    const cursors = await cursorsOf(opened, request);
    assert.notEqual(cursors[0], cursors[1]);
    assert.deepEqual(await cursorsOf(opened, { ...request, redelivered: true }), cursors);
    assert.equal(await textOf(opened.shard, 'a'), '=second');
    await opened.shard.close();
  });

  test('stays what it was under every rule for keys that exist', async () => {
    for (const ifExists of ['append', 'skip-same', 'keep', 'reject'] as const) {
      const opened = await openShard();
      const request = put('p1', { a: '1' }, { ifExists });
      assert.deepEqual(await outcomes(opened, [request]), ['stored'], ifExists);
      assert.deepEqual(await outcomes(opened, [{ ...request, redelivered: true }]), ['unchanged'], ifExists);
      await opened.shard.close();
    }
  });
});

describe('a put of a key that exists', () => {
  test('is a new version when nothing else is asked for', async () => {
    const opened = await openShard();
    assert.deepEqual(await outcomes(opened, [put('p1', { a: '1' })]), ['stored']);
    assert.deepEqual(await outcomes(opened, [put('p2', { a: '1' })]), ['stored']);
    assert.equal(await textOf(opened.shard, 'a'), '=1');
    await opened.shard.close();
  });

  test('stores nothing with skip-same when the newest version has the same payload', async () => {
    const opened = await openShard();
    const skip = (id: string, text: string): PutRequest => put(id, { a: text }, { ifExists: 'skip-same' });
    assert.deepEqual(await outcomes(opened, [skip('p1', 'x')]), ['stored']);
    assert.deepEqual(await outcomes(opened, [skip('p2', 'x')]), ['unchanged']);
    assert.deepEqual(await outcomes(opened, [skip('p3', 'y')]), ['stored']);
    assert.deepEqual(await outcomes(opened, [skip('p4', 'x')]), ['stored'], 'the newest version is y');
    await opened.shard.close();
  });

  test('is seen by another put of the same batch', async () => {
    const opened = await openShard();
    const skip = (id: string): PutRequest => put(id, { a: 'x' }, { ifExists: 'skip-same' });
    assert.deepEqual(await outcomes(opened, [skip('p1'), skip('p2')]), ['stored', 'unchanged']);
    const keep = (id: string): PutRequest => put(id, { b: id }, { ifExists: 'keep' });
    assert.deepEqual(await outcomes(opened, [keep('p3'), keep('p4')]), ['stored', 'kept']);
    assert.equal(await textOf(opened.shard, 'b'), '=p3');
    const reject = (id: string): PutRequest => put(id, { c: id }, { ifExists: 'reject' });
    assert.deepEqual(await outcomes(opened, [reject('p5'), reject('p6')]), ['stored', 'key-exists']);
    await opened.shard.close();
  });

  test('is seen by the next record of the same put', async () => {
    const opened = await openShard();
    const twice: readonly (readonly [string, string])[] = [
      ['a', 'x'],
      ['a', 'x'],
    ];
    assert.deepEqual(await outcomes(opened, [put('p1', twice, { ifExists: 'skip-same' })]), ['stored,unchanged']);
    assert.deepEqual(await outcomes(opened, [put('p2', twice, { ifExists: 'keep' })]), ['kept,kept']);
    const other = twice.map(([, text]): readonly [string, string] => ['b', text]);
    assert.deepEqual(await outcomes(opened, [put('p3', other, { ifExists: 'reject' })]), ['key-exists']);
    await opened.shard.close();
  });

  test('is refused as a whole with reject: nothing of the put is stored', async () => {
    const opened = await openShard();
    await outcomes(opened, [put('p1', { b: 'old' })]);
    assert.deepEqual(await outcomes(opened, [put('p2', { a: 'new', b: 'new' }, { ifExists: 'reject' })]), [
      'key-exists',
    ]);
    assert.equal(await textOf(opened.shard, 'a'), 'missing');
    assert.equal(await textOf(opened.shard, 'b'), '=old');
    await opened.shard.close();
  });

  test('completes only when the record that it rests on is committed', async () => {
    const { shard, clock, disk } = await openShard(undefined, { commitDelayMs: 0 });
    await settled(shard.put(put('p0', { first: '1' })), clock);
    const hold = disk.hold(({ kind, path }) => kind === 'sync' && path.startsWith('value/'));
    const first = shard.put(put('p1', { a: 'x' }));
    await hold.reached;
    let done = 0;
    const resting = (['skip-same', 'keep'] as const).map((ifExists) =>
      shard.put(put(ifExists, { a: 'x' }, { ifExists })),
    );
    for (const pending of resting) void pending.then(() => done++);
    await turns(100);
    assert.equal(done, 0);
    hold.release();
    await settled(first, clock);
    assert.deepEqual((await settled(Promise.all(resting), clock)).map(summary), ['unchanged', 'kept']);
    await shard.close();
  });

  for (const options of [{ ifExists: 'keep' }, { redelivered: true }] as const) {
    test(`fails alone when its key leads to the record of another, ${Object.keys(options)}`, async () => {
      const opened = await openShard();
      await outcomes(opened, [put('p1', { a: 'x' })]);
      const [stranger] = put('p2', { b: 'y' }).records;
      const [filed] = put('p2', { a: 'y' }).records;
      assert.ok(stranger !== undefined && filed !== undefined);
      const request = { ...put('p2', {}, options), records: [{ ...stranger, storedKey: filed.storedKey }] };
      assert.deepEqual(await outcomes(opened, [request, put('p3', { c: 'z' })]), ['corrupt-chain', 'stored']);
      await opened.shard.close();
    });
  }

  test('fails alone when its versions cannot be read', async () => {
    const opened = await openShard();
    await outcomes(opened, [put('p1', { a: 'x'.repeat(50) })]);
    await opened.shard.close();
    const [section] = opened.disk.files().filter((path) => path.startsWith('value/'));
    assert.ok(section !== undefined);
    opened.disk.mutate(section, (bytes) => bytes.fill(0xff, 30, 40));
    const again = await openShard(opened.disk);
    const requests = [put('p2', { a: 'y' }, { ifExists: 'keep' }), put('p3', { b: 'y' }, { ifExists: 'keep' })];
    assert.deepEqual(await outcomes(again, requests), ['corrupt-chain', 'stored']);
    await again.shard.close();
  });
});
