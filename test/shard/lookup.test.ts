import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32c } from '../../src/codec/crc32c.ts';
import { encodeCursor } from '../../src/freezer/cursor.ts';
import { archiveKey } from '../../src/shard/engine-settings.ts';
import { encodeEnvelope } from '../../src/shard/envelope.ts';
import type { Answer, Question } from '../../src/shard/lookup.ts';
import type { Shard } from '../../src/shard/shard.ts';
import { openShard, put, settled, textIn, textOf, tinyEngine, turns } from './shard-harness.ts';

function keyed(key: string): Question {
  return { key, storedKey: archiveKey(key) };
}

async function one(shard: Shard, question: Question): Promise<Answer> {
  const [answer] = await shard.lookupMany([question]);
  assert.ok(answer !== undefined);
  return answer;
}

describe('a lookup', () => {
  test('by key gives the newest version with all that is known of it', async () => {
    const { shard, clock } = await openShard();
    await settled(shard.put(put('p1', { a: 'old', b: '1' })), clock);
    clock.jumpWall(5);
    const archivedAtMs = clock.wallMs();
    const result = await settled(
      shard.put(
        put('p2', [
          ['b', '2'],
          ['a', 'new'],
        ]),
      ),
      clock,
    );
    const answer = await one(shard, keyed('a'));
    assert.ok(answer.kind === 'found');
    assert.deepEqual(
      { ...answer, payload: Buffer.from(answer.payload).toString() },
      {
        kind: 'found',
        cursor: result.records[1]?.cursor,
        key: 'a',
        payload: 'new',
        archivedAtMs,
        putId: 'p2',
        recordIndex: 1,
      },
    );
    await shard.close();
  });

  test('by cursor gives the version that the cursor names', async () => {
    const { shard, clock } = await openShard();
    const first = await settled(shard.put(put('p1', { a: 'old' })), clock);
    await settled(shard.put(put('p2', { a: 'new' })), clock);
    const cursor = first.records[0]?.cursor ?? assert.fail();
    assert.equal(textIn(await one(shard, { cursor })), '=old');
    await shard.close();
  });

  test('answers each question by itself, in order', async () => {
    const { shard, clock } = await openShard();
    const stored = await settled(shard.put(put('p1', { a: '1', b: '2' })), clock);
    const cursor = stored.records[0]?.cursor ?? assert.fail();
    const questions = [keyed('b'), { cursor: Buffer.alloc(20, 0xff) }, keyed('none'), { cursor }, keyed('a')];
    assert.deepEqual((await shard.lookupMany(questions)).map(textIn), ['=2', 'invalid', 'missing', '=1', '=1']);
    assert.deepEqual(await shard.lookupMany([]), []);
    await shard.close();
  });

  test('waits for the commit of a record that is not committed', async () => {
    const { shard, clock, disk } = await openShard(undefined, { commitDelayMs: 0 });
    await settled(shard.put(put('p0', { first: '1' })), clock);
    const hold = disk.hold(({ kind, path }) => kind === 'sync' && path.startsWith('value/'));
    const pending = shard.put(put('p1', { a: '1' }));
    await hold.reached;
    let answered = false;
    const lookup = textOf(shard, 'a').finally(() => {
      answered = true;
    });
    assert.equal(await textOf(shard, 'other'), 'missing', 'others do not wait');
    await turns();
    assert.equal(answered, false);
    hold.release();
    assert.equal(await lookup, '=1');
    await settled(pending, clock);
    await shard.close();
  });

  test('with a cursor that never existed is invalid', async () => {
    const { shard, clock } = await openShard();
    const stored = await settled(shard.put(put('p1', { a: '1'.repeat(50), b: '2' })), clock);
    const cursor = stored.records[0]?.cursor ?? assert.fail();
    assert.equal(cursor.length, 20);
    const forged = [
      Buffer.alloc(0),
      cursor.subarray(1),
      Buffer.concat([cursor, Buffer.alloc(1)]),
      Buffer.alloc(20, 0xff),
      encodeCursor({ section: 9, offset: 0, size: 20 }),
      encodeCursor({ section: 0, offset: 0, size: 3 }),
      encodeCursor({ section: 0, offset: 1_000_000, size: 20 }),
      encodeCursor({ section: 0, offset: 0, size: 0xffff_ffff }),
      encodeCursor({ section: 0, offset: 1, size: 20 }),
      encodeCursor({ section: 0, offset: 0, size: cursor.readUInt32BE(16) - 1 }),
      encodeCursor({ section: 0, offset: 0, size: cursor.readUInt32BE(16) + 1 }),
    ];
    for (const bytes of forged)
      assert.equal((await one(shard, { cursor: bytes })).kind, 'invalid', bytes.toString('hex'));
    await shard.close();
  });

  test('with a cursor that was guessed of a record that is not committed is invalid', async () => {
    const { shard, clock, disk } = await openShard(undefined, { commitDelayMs: 0 });
    const stored = await settled(shard.put(put('p0', { a: '1' })), clock);
    const size = stored.records[0]?.cursor.readUInt32BE(16) ?? assert.fail();
    const hold = disk.hold(({ kind, path }) => kind === 'sync' && path.startsWith('value/'));
    const pending = shard.put(put('p1', { b: '2' }));
    await hold.reached;
    const cursor = encodeCursor({ section: 0, offset: size, size });
    assert.equal((await one(shard, { cursor })).kind, 'invalid');
    hold.release();
    await settled(pending, clock);
    assert.equal(textIn(await one(shard, { cursor })), '=2');
    await shard.close();
  });

  test('with a cursor into a payload that looks like a record is invalid', async () => {
    const { shard, clock } = await openShard(undefined, { engine: { ...tinyEngine, valueTargetSize: 10_000 } });
    const envelope = encodeEnvelope({
      putId: 'forged',
      recordIndex: 0,
      archivedAtMs: 1,
      key: 'a',
      payload: Buffer.from('forged'),
    });
    const vector = Buffer.concat([Buffer.from([envelope.length]), envelope]);
    const frame = Buffer.concat([vector, Buffer.alloc(4)]);
    frame.writeUInt32BE(crc32c(vector), vector.length);
    const honest = put('p1', { a: 'honest' }).records;
    const carrier = put('p1', { b: '' }).records.map((record) => ({ ...record, payload: frame }));
    const stored = await settled(shard.put({ ...put('p1', {}), records: [...honest, ...carrier] }), clock);
    const place = stored.records[1]?.cursor ?? assert.fail();
    const end = Number(place.readBigUInt64BE(8)) + place.readUInt32BE(16);
    const cursor = encodeCursor({ section: 0, offset: end - 4 - frame.length, size: frame.length });
    assert.equal((await one(shard, { cursor })).kind, 'invalid');
    await shard.close();
  });

  test('that meets damaged bytes says corrupt, never missing', async () => {
    const { shard, clock, disk } = await openShard();
    const stored = await settled(shard.put(put('p1', { a: 'x'.repeat(60) })), clock);
    await shard.close();
    disk.mutate('value/0000000000000000', (bytes) => bytes.fill(0, 40, 44));
    const again = await openShard(disk);
    assert.equal((await one(again.shard, keyed('a'))).kind, 'corrupt');
    const cursor = stored.records[0]?.cursor ?? assert.fail();
    assert.equal((await one(again.shard, { cursor })).kind, 'corrupt');
    await again.shard.close();
  });

  test('that the disk does not answer is unavailable, and answered the next time', async () => {
    const { shard, clock, disk } = await openShard();
    await settled(shard.put(put('p1', { a: '1' })), clock);
    disk.failAt(({ kind, path }) => kind === 'read' && path.startsWith('value/'), 'eio');
    assert.equal(await textOf(shard, 'a'), 'unavailable');
    assert.equal(await textOf(shard, 'a'), '=1');
    await shard.close();
  });

  test('checks that the record has the key that was asked for', async () => {
    const { shard, clock } = await openShard();
    await settled(shard.put(put('p1', { a: '1' })), clock);
    const answer = await one(shard, { key: 'another key', storedKey: archiveKey('a') });
    assert.equal(answer.kind, 'corrupt');
    await shard.close();
  });

  test('of a closed shard is unavailable', async () => {
    const { shard, clock } = await openShard();
    await settled(shard.put(put('p1', { a: '1' })), clock);
    await shard.close();
    assert.equal(await textOf(shard, 'a'), 'unavailable');
  });
});
