/** Records that lookups pass by their links: what the pages have is found, and what is wrong with them is not passed. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { present } from '../../src/base/assert.ts';
import { codeOf } from '../../src/base/errors.ts';
import { physicalPageSize } from '../../src/blob/page.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { writeU64 } from '../../src/codec/integer.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { recordSize } from '../../src/freezer/key-record.ts';
import type { FreezerStart } from '../../src/freezer/start.ts';
import { asksBeforeRead } from '../../src/journal/record-links.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { smallSettings } from './keeper.ts';

const keySize = 8;
const pageSize = 108;
const perPage = pageSize / recordSize(keySize);
const count = 120;
/** Whole records on each page, and room for all pages. */
const settings = {
  ...smallSettings,
  keySize,
  keyPageCache: { pageSize, pages: 128 },
  valueTargetSize: 1 << 20,
  tableInitialSize: 2,
  tableResizeFrequency: 254,
};
/** Until links are read, and then some. */
const roundCount = asksBeforeRead + 2;
const keyFile = 'key/0000000000000000';

const valueFor = (number: number): Buffer => Buffer.from(`value ${number}`);

/** A key of the first bucket, or of the second. */
function keyOf(bucket: 0 | 1): Buffer {
  for (;;) {
    const key = randomBytes(keySize);
    if ((crc32c(key) & 1) === bucket) return key;
  }
}

/** Two keys of the first bucket with the same checksum. */
function collision(): readonly [Buffer, Buffer] {
  const seen = new Map<number, Buffer>();
  for (;;) {
    const key = keyOf(0);
    const hash = crc32c(key);
    const other = seen.get(hash);
    if (other !== undefined && !other.equals(key)) return [other, key];
    seen.set(hash, key);
  }
}

describe('a chain in memory', () => {
  const keys: Buffer[] = [];
  let disk: SimulatedDisk;
  let start: FreezerStart;

  before(async () => {
    const [one, other] = collision();
    keys.push(one, ...Array.from({ length: count - 2 }, () => keyOf(0)), other);
    disk = new SimulatedDisk();
    const freezer = await Freezer.open(disk, settings, { kind: 'create' });
    // Each key has a record twice: all old ones first.
    for (const round of [0, 1]) {
      await freezer.putMany(keys.map((key, number) => ({ key, value: valueFor(round * count + number) })));
    }
    start = { kind: 'clean', checkpoint: await freezer.sync(), table: freezer.tableState };
    await freezer.release();
  });

  const open = (on: SimulatedDisk): Promise<Freezer<Uint8Array>> => Freezer.open(on, settings, start);

  test('leads to the newest record of each key, also of two keys with one checksum, as it did from the disk', async () => {
    const freezer = await open(disk.clone());
    const expected = keys.map((_, number) => valueFor(count + number));
    for (let round = 0; round < roundCount; round++) {
      const together = await freezer.getMany(keys.map((key) => ({ key })));
      assert.deepEqual(
        together.map((value) => Buffer.from(present(value, 'a value'))),
        expected,
      );
      for (const [number, key] of keys.entries()) {
        assert.deepEqual(Buffer.from(present(await freezer.get({ key }), 'a value')), expected[number]);
      }
      assert.equal(await freezer.get({ key: Buffer.alloc(keySize) }), undefined);
    }
    await freezer.release();
  });

  test('is not followed to a later record', () => checkNext({ section: 0, position: count + 5 }));
  test('is not followed to a later section', () => checkNext({ section: 3, position: 0 }));
  test('is not followed to a section that a link has no room for', () => checkNext({ section: 2 ** 40, position: 0 }));

  test('is not followed past the key of another bucket, to an older record of the key', async () => {
    await checkBroken(5, (record) => record.set(keyOf(1)));
  });

  function checkNext(next: { readonly section: number; readonly position: number }): Promise<void> {
    return checkBroken(4, (record) => {
      writeU64(record, next.section, keySize);
      writeU64(record, next.position, keySize + 8);
    });
  }

  /** Changes the newest record of key 4: so many keys, which are found there or behind it, cannot be had any more. */
  async function checkBroken(brokenCount: number, change: (record: Buffer) => void): Promise<void> {
    const on = disk.clone();
    on.mutate(keyFile, (bytes) => withRecord(bytes, count + 4, change));
    const freezer = await open(on);
    const broken = keys.slice(0, brokenCount).map((key) => ({ key }));
    const sound = keys.slice(5).map((key) => ({ key }));
    for (let round = 0; round < roundCount; round++) {
      for (const lookup of await freezer.lookupMany(sound)) assert.equal(lookup.kind, 'found');
      for (const lookup of await freezer.lookupMany(broken)) {
        assert.ok(lookup.kind === 'failed' && codeOf(lookup.error) === 'corruption', `round ${round}`);
      }
      for (const identifier of broken) await assert.rejects(freezer.get(identifier), { code: 'corruption' });
    }
    await freezer.release();
  }
});

/** The key journal with one of its records changed, and page checksums that match. */
function withRecord(bytes: Buffer, position: number, change: (record: Buffer) => void): Buffer {
  const changed = Buffer.from(bytes);
  const page = 8 + Math.floor(position / perPage) * physicalPageSize(pageSize);
  const at = page + (position % perPage) * recordSize(keySize);
  change(changed.subarray(at, at + recordSize(keySize)));
  for (const slot of [page + pageSize, page + pageSize + 6]) {
    const size = changed.readUInt16BE(slot);
    if (size > 0) changed.writeUInt32BE(crc32c(changed.subarray(page, page + size)), slot + 2);
  }
  return changed;
}
