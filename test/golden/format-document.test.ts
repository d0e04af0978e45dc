/** docs/FORMAT.md against what the code writes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeHeader } from '../../src/blob/header.ts';
import { checksumOffset, encodeChecksum, pageRecordSize, physicalPageSize } from '../../src/blob/page.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { writeVarint } from '../../src/codec/varint.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/freezer/checkpoint.ts';
import { encodeCursor } from '../../src/freezer/cursor.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { HeadDigests } from '../../src/freezer/head-digests.ts';
import { recordSize, writeRecord } from '../../src/freezer/key-record.ts';
import { slotSize, writeSlot } from '../../src/freezer/table-entry.ts';
import { bytesCodec, int32Codec, type ValueCodec } from '../../src/freezer/value-codec.ts';
import { createCheckpointFile } from '../../src/shard/checkpoint-file.ts';
import { createCommitMark } from '../../src/shard/commit-mark.ts';
import { encodeEnvelope, envelopeHeadSize } from '../../src/shard/envelope.ts';
import { SectionManifest } from '../../src/shard/section-manifest.ts';
import { prepareTableDigests, writeTableDigests } from '../../src/shard/table-digests.ts';
import { freezerSettings } from '../../tools/golden/golden-settings.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { decodeAs, documentText, exampleFiles, hexTable, layoutNames } from './format-document.ts';
import { readStore } from './format-reader.ts';

/** The number in as many bytes as the field has. */
function hex(value: number, size: number): string {
  return value.toString(16).padStart(2 * size, '0');
}

const slotHeadSize = 16;
const slotSpacing = 4096;

/** Head and payload of the newer slot of a two-slot file. */
function slotOf(disk: SimulatedDisk, path: string, payloadSize: number): { head: Buffer; payload: Buffer } {
  const slot = disk.bytesOf(path).subarray(slotSpacing);
  const payloadEnd = slotHeadSize + payloadSize;
  assert.equal(slot.readUInt32BE(payloadEnd), crc32c(slot.subarray(0, payloadEnd)));
  return { head: slot.subarray(0, slotHeadSize), payload: slot.subarray(slotHeadSize, payloadEnd) };
}

const checkedLayouts = new Map<string, () => void | Promise<void>>([
  [
    'header',
    () =>
      assert.deepEqual(decodeAs('header', encodeHeader()), {
        magic: '43574943',
        'container version': hex(0, 2),
        'blob version': hex(0, 2),
      }),
  ],
  [
    'slot',
    () => {
      const bytes = Buffer.alloc(slotSize);
      writeSlot(bytes, 0, { epoch: 7, section: 3, position: 41, added: 4 });
      assert.deepEqual(decodeAs('slot', bytes), {
        epoch: hex(7, 8),
        section: hex(3, 8),
        position: hex(41, 8),
        added: hex(4, 1),
        checksum: hex(crc32c(bytes.subarray(0, 25)), 4),
      });
    },
  ],
  [
    'record, behind the key',
    () => {
      const bytes = Buffer.alloc(recordSize(5));
      writeRecord(bytes, 0, Buffer.from('abcde'), { section: 5, position: 7 }, { offset: 0x1234, size: 0x55 });
      assert.equal(bytes.toString('ascii', 0, 5), 'abcde');
      assert.deepEqual(decodeAs('record, behind the key', bytes.subarray(5)), {
        'next section': hex(5, 8),
        'next position': hex(7, 8),
        'value offset': hex(0x1234, 8),
        'value size': hex(0x55, 4),
      });
    },
  ],
  [
    'page record, behind the data',
    () => {
      const bytes = Buffer.alloc(physicalPageSize(64));
      encodeChecksum(1, 2).copy(bytes, checksumOffset(64, 0));
      encodeChecksum(3, 4).copy(bytes, checksumOffset(64, 1));
      assert.deepEqual(decodeAs('page record, behind the data', bytes.subarray(-pageRecordSize)), {
        'first size': hex(1, 2),
        'first checksum': hex(2, 4),
        'second size': hex(3, 2),
        'second checksum': hex(4, 4),
      });
    },
  ],
  [
    'cursor',
    () =>
      assert.deepEqual(decodeAs('cursor', encodeCursor({ section: 3, offset: 0x1234, size: 0x55 })), {
        section: hex(3, 8),
        offset: hex(0x1234, 8),
        size: hex(0x55, 4),
      }),
  ],
  [
    'checkpoint',
    () => {
      const bytes = encodeCheckpoint({ epoch: 7, section: 3, keyBytes: 2520, tableSize: 65536 });
      assert.deepEqual(decodeAs('checkpoint', bytes), {
        epoch: hex(7, 8),
        section: hex(3, 8),
        'key bytes': hex(2520, 8),
        'table size': hex(65536, 4),
      });
    },
  ],
  ['two-slot file, before the payload', checkTwoSlotHeads],
  ['payload of checkpoint', checkCheckpointFile],
  ['table-digests, before the digests', checkTableDigests],
  [
    'payload of commit-mark',
    async () => {
      const disk = new SimulatedDisk();
      const mark = await createCommitMark(disk, { section: 1, keyBytes: 2, valueBytes: 3 });
      await mark.close();
      assert.deepEqual(decodeAs('payload of commit-mark', slotOf(disk, 'commit-mark', 24).payload), {
        section: hex(1, 8),
        'key bytes': hex(2, 8),
        'value bytes': hex(3, 8),
      });
    },
  ],
  [
    'envelope, before its texts',
    () => {
      const bytes = encodeEnvelope({
        putId: 'put',
        recordIndex: 5,
        archivedAtMs: 6,
        key: 'a key',
        payload: Buffer.from('payload'),
      });
      assert.deepEqual(decodeAs('envelope, before its texts', bytes.subarray(0, envelopeHeadSize)), {
        version: hex(1, 1),
        flags: hex(0, 1),
        'archived at': hex(6, 8),
        'record index': hex(5, 4),
        'put id size': hex(3, 2),
        'key size': hex(5, 2),
      });
      assert.equal(bytes.toString('utf8', envelopeHeadSize), 'puta keypayload');
    },
  ],
]);

async function checkTwoSlotHeads(): Promise<void> {
  const disk = new SimulatedDisk();
  const mark = await createCommitMark(disk, { section: 1, keyBytes: 2, valueBytes: 3 });
  await mark.close();
  assert.deepEqual(decodeAs('two-slot file, before the payload', slotOf(disk, 'commit-mark', 24).head), {
    magic: Buffer.from('PFCM').toString('hex'),
    version: hex(1, 2),
    'payload size': hex(24, 2),
    sequence: hex(2, 8),
  });
  assert.equal(disk.bytesOf('commit-mark').length, 2 * slotSpacing);
}

async function checkTableDigests(): Promise<void> {
  const disk = new SimulatedDisk();
  const digests = HeadDigests.ofEmpty(128);
  digests.change(64, undefined, { section: 3, position: 5 });
  const of = { checkpoint: { epoch: 7 }, instance: '01234567-89ab-cdef-0123-456789abcdef' };
  await prepareTableDigests(disk);
  await writeTableDigests(disk, of, digests);
  const bytes = disk.bytesOf('table-digests-1');
  assert.deepEqual(decodeAs('table-digests, before the digests', bytes.subarray(0, 36)), {
    magic: Buffer.from('PFTD').toString('hex'),
    version: hex(1, 2),
    window: hex(64, 2),
    epoch: hex(7, 8),
    instance: '0123456789abcdef0123456789abcdef',
    count: hex(2, 4),
  });
  assert.equal(bytes.toString('hex', 36, 44), `00000000${hex(documentedDigest(3, 5), 4)}`);
  assert.equal(bytes.length, 48);
}

/** The hash as the document gives it, in exact arithmetic. */
function documentedDigest(section: number, position: number): number {
  const mask = 0xffff_ffffn;
  let h = ((BigInt(section) ^ 0x2545_f491n) * 0x9e37_79b1n) & mask;
  h = (((h ^ (h >> 15n)) + BigInt(position)) * 0x85eb_ca6bn) & mask;
  h = ((h ^ (h >> 13n)) * 0xc2b2_ae35n) & mask;
  return Number(h ^ (h >> 16n));
}

async function checkCheckpointFile(): Promise<void> {
  const disk = new SimulatedDisk();
  const checkpoint = { epoch: 7, section: 3, keyBytes: 2520, tableSize: 65536 };
  const file = await createCheckpointFile(disk, {
    checkpoint,
    instance: '01234567-89ab-cdef-0123-456789abcdef',
    valueBytes: 9,
    table: { resizeProgress: undefined, resizable: 10, initialSize: 14 },
    tableBytes: 11,
    resizeFrequency: 12,
    clean: true,
    savedAtMs: 13,
  });
  await file.close();
  const { head, payload } = slotOf(disk, 'checkpoint', 90);
  const { magic } = decodeAs('two-slot file, before the payload', head);
  assert.equal(magic, Buffer.from('PFCP').toString('hex'));
  assert.deepEqual(decodeAs('payload of checkpoint', payload), {
    checkpoint: encodeCheckpoint(checkpoint).toString('hex'),
    instance: '0123456789abcdef0123456789abcdef',
    'value bytes': hex(9, 8),
    'resize progress': 'ff'.repeat(8),
    resizable: hex(10, 8),
    'table bytes': hex(11, 8),
    'saved at': hex(13, 8),
    'resize frequency': hex(12, 1),
    clean: hex(1, 1),
    'initial table size': hex(14, 4),
  });
}

for (const name of layoutNames()) {
  test(`the document's layout of ${name} is what the code writes`, async () => {
    const check = checkedLayouts.get(name);
    assert.ok(check !== undefined, 'a layout of the document that no test compares');
    await check();
  });
}

test('the document has every layout that the code is compared with', () => {
  assert.deepEqual(layoutNames().sort(), [...checkedLayouts.keys()].sort());
});

test("the document's varints are what the code writes", () => {
  for (const [number, bytes] of hexTable('| number | varint |')) {
    const into = Buffer.alloc(5);
    assert.equal(into.toString('hex', 0, writeVarint(into, Number(number), 0)), bytes);
  }
});

test("the document's frames are encoded values with their checksum", () => {
  const frames = hexTable('| value | frame |');
  assert.equal(frameOf(bytesCodec, Buffer.from('hello')), frames.get('byte vector "hello"'));
  assert.equal(frameOf(bytesCodec, Buffer.alloc(0)), frames.get('empty byte vector'));
  assert.equal(frameOf(int32Codec, 42), frames.get('`i32` 42'));
  assert.equal(frames.size, 3);
});

function frameOf<V>(codec: ValueCodec<V>, value: V): string {
  const size = codec.encodedSize(value);
  const frame = Buffer.alloc(size + 4);
  codec.encode(value, frame, 0);
  frame.writeUInt32BE(crc32c(frame.subarray(0, size)), size);
  return frame.toString('hex');
}

test('a line of the section manifest is as the document says', async () => {
  const disk = new SimulatedDisk();
  const manifest = await SectionManifest.create(disk);
  await manifest.append({ section: 0, keyBytes: 255, valueBytes: 4096 });
  await manifest.close();
  const line = disk.bytesOf('sections').toString('latin1');
  const [, numbers = '', crc = ''] = /^((?:[0-9a-f]{16} ){3})([0-9a-f]{8})\n$/.exec(line) ?? [];
  assert.equal(line.length, 60);
  assert.equal(numbers, `${hex(0, 8)} ${hex(255, 8)} ${hex(4096, 8)} `);
  assert.equal(crc, hex(crc32c(Buffer.from(numbers)), 4));
});

const exampleRecords = [
  [1, 'ice'],
  [2, 'snow'],
  [0, 'hail'],
] as const;
const exampleSettings = freezerSettings({
  page: 64,
  init: 4,
  freq: 4,
  chunk: 4,
  target: 1_048_576,
  keylen: 8,
  wbuf: 1024,
  comp: 0,
});

test("the document's example is what the engine writes, and the second reader reads it", async () => {
  const disk = new SimulatedDisk();
  const freezer = await Freezer.open(disk, exampleSettings, { kind: 'create' });
  let compared = 0;
  for (const [index, [number, value]] of exampleRecords.entries()) {
    const cursor = encodeCursor(await freezer.put(Buffer.from(hex(number, 8), 'hex'), Buffer.from(value)));
    const checkpoint = encodeCheckpoint(await freezer.sync());
    if (index === 0) assert.ok(documentText.includes(`cursor \`${cursor.toString('hex')}\``));
    if (index !== 1) assert.ok(documentText.includes(`\`${checkpoint.toString('hex')}\``));
    for (const file of exampleFiles().filter(({ putCount }) => putCount === index + 1)) {
      assert.equal(disk.bytesOf(file.path).toString('hex'), file.hex, `${file.path} after ${file.putCount} puts`);
      compared++;
    }
  }
  const checkpoint = await freezer.close();
  assert.equal(compared, 6);
  const files = new Map(
    exampleFiles()
      .filter(({ putCount }) => putCount === exampleRecords.length)
      .map((file) => [file.path, Buffer.from(file.hex, 'hex')]),
  );
  const settings = { keySize: 8, pageSize: 64, compressed: false };
  const values = readStore(files, settings, encodeCheckpoint({ ...checkpoint, epoch: 3 }));
  for (const [number, value] of exampleRecords) {
    assert.equal(Buffer.from(values.get(hex(number, 8)) ?? '', 'hex').toString(), value);
  }
  assert.equal(decodeCheckpoint(encodeCheckpoint(checkpoint)).tableSize, 4);
});
