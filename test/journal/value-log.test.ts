import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../src/codec/crc32c.ts';
import { SectionBlobs, sectionName } from '../../src/journal/section-blobs.ts';
import { type ValueLocation, ValueLog } from '../../src/journal/value-log.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';

const headerSize = 8;

function open(disk: SimulatedDisk): ValueLog {
  return new ValueLog(new SectionBlobs(disk, 'value'), { writeBuffer: 1024 });
}

function append(log: ValueLog, value: Uint8Array): ValueLocation {
  const { into, at } = log.reserve(value.length);
  into.set(value, at);
  return log.seal(value.length);
}

async function sync(log: ValueLog): Promise<void> {
  const staged = log.stage();
  if (staged !== undefined) await log.write(staged);
  await log.sync();
}

async function read(log: ValueLog, location: ValueLocation): Promise<string> {
  const [outcome] = await log.readMany([location]);
  if (outcome instanceof Error) throw outcome;
  return outcome?.toString() ?? '';
}

/** A log whose section 0 holds these values, synced. */
async function logWith(disk: SimulatedDisk, ...values: readonly string[]): Promise<[ValueLog, ValueLocation[]]> {
  const log = open(disk);
  await log.startSection(0);
  const locations = values.map((value) => append(log, Buffer.from(value)));
  await sync(log);
  return [log, locations];
}

test('the first value begins at 0 and is read before and after it is synced', async () => {
  const log = open(new SimulatedDisk());
  await log.startSection(0);
  const location = append(log, Buffer.from('hello'));
  assert.deepEqual(location, { section: 0, offset: 0, size: 9 });
  assert.equal(await read(log, location), 'hello');
  await sync(log);
  assert.equal(await read(log, location), 'hello');
  await log.close();
});

test('a frame is the data and its checksum, and frames lie back to back', async () => {
  const disk = new SimulatedDisk();
  const [log, locations] = await logWith(disk, 'one', '', 'three');
  assert.deepEqual(
    locations.map(({ offset, size }) => [offset, size]),
    [
      [0, 7],
      [7, 4],
      [11, 9],
    ],
  );
  const file = disk.bytesOf(`value/${sectionName(0)}`);
  assert.equal(file.toString('hex', headerSize + 7, headerSize + 11), '00000000');
  assert.equal(file.readUInt32BE(headerSize + 3), crc32c(Buffer.from('one')));
  assert.equal(file.length, headerSize + 20);
  assert.equal(log.size, 20);
  await log.close();
});

test('a list of reads has one outcome each, from disk, from memory, from other sections', async () => {
  const disk = new SimulatedDisk();
  const [log, [first]] = await logWith(disk, 'one', 'two');
  await log.startSection(1);
  const second = append(log, Buffer.from('second section'));
  assert.ok(first !== undefined);
  const outcomes = await log.readMany([second, { section: 0, offset: 7, size: 7 }, first, { ...first, section: 9 }]);
  assert.deepEqual(
    outcomes.map((outcome) => (outcome instanceof Error ? 'error' : outcome.toString())),
    ['second section', 'two', 'one', 'error'],
  );
  await log.close();
});

test('values are read while they are being written, and what comes behind them too', async () => {
  const disk = new SimulatedDisk();
  const log = open(disk);
  await log.startSection(0);
  const first = append(log, Buffer.from('first'));
  const hold = disk.hold((operation) => operation.kind === 'write');
  const staged = log.stage();
  assert.ok(staged !== undefined);
  const writing = log.write(staged);
  await hold.reached;
  const second = append(log, Buffer.from('second'));
  assert.equal(await read(log, first), 'first');
  assert.equal(await read(log, second), 'second');
  hold.release();
  await writing;
  assert.equal(await read(log, first), 'first');
  assert.equal(await read(log, second), 'second');
  await log.close();
});

test('a value is had at once where the disk lets it, and with the same outcome', async () => {
  const disk = new SimulatedDisk();
  const [log, [first, second]] = await logWith(disk, 'one', 'three');
  assert.ok(first !== undefined && second !== undefined);
  const inMemory = append(log, Buffer.from('two'));
  assert.equal(log.readNow(inMemory)?.toString(), 'two');
  assert.equal(log.readNow(first)?.toString(), 'one');
  assert.equal(log.readNow({ ...first, section: 7 }), undefined);
  assert.ok(log.readNow({ ...first, size: 3 }) instanceof Error);
  disk.mutate('value/0000000000000000', (bytes) => {
    bytes.writeUInt8(0, headerSize + second.offset);
    return bytes;
  });
  assert.deepEqual(log.readNow(second), (await log.readMany([second]))[0]);
  assert.ok(log.readNow(second) instanceof Error);
  const hold = disk.hold(({ kind }) => kind === 'read');
  assert.equal(log.readNow(first), undefined);
  hold.release();
  await log.close();
  assert.equal(log.readNow(first), undefined);
});

test('a value that is larger than the buffer goes through', async () => {
  const disk = new SimulatedDisk();
  const log = open(disk);
  await log.startSection(0);
  const large = Buffer.alloc(300_000, 7);
  const before = append(log, Buffer.from('before'));
  const location = append(log, large);
  const [frame] = await log.readMany([location]);
  assert.deepEqual(frame, large);
  await sync(log);
  const [again] = await log.readMany([location]);
  assert.deepEqual(again, large);
  assert.equal(await read(log, before), 'before');
  await log.close();
});

test('values are there after opening again, and the next one begins behind them', async () => {
  const disk = new SimulatedDisk();
  const [log, [first, second]] = await logWith(disk, 'one', 'two');
  await log.close();
  assert.ok(first !== undefined && second !== undefined);
  const again = open(disk);
  await again.openTail(0, second.offset + second.size);
  assert.equal(await read(again, first), 'one');
  assert.equal(append(again, Buffer.from('three')).offset, 14);
  await again.close();
});

for (const [name, change, code] of [
  ['no bytes', { size: 0 }, 'out-of-range'],
  ['less than a checksum', { size: 3 }, 'out-of-range'],
  ['a checksum and no data', { size: 4 }, 'corruption'],
  ['a byte too few', { size: 8 }, 'corruption'],
  ['a byte too many', { size: 10 }, 'out-of-range'],
  ['another place', { offset: 1, size: 8 }, 'corruption'],
  ['a place behind the end', { offset: 1000 }, 'out-of-range'],
  ['a place near 2^53', { offset: Number.MAX_SAFE_INTEGER - 1 }, 'out-of-range'],
] as const) {
  test(`asked for ${name}, it says so in memory and on disk`, async () => {
    const disk = new SimulatedDisk();
    const log = open(disk);
    await log.startSection(0);
    const location = { ...append(log, Buffer.from('hello')), ...change };
    await assert.rejects(read(log, location), { code });
    await sync(log);
    await assert.rejects(read(log, location), { code });
    await log.startSection(1);
    await assert.rejects(read(log, location), { code });
    await log.close();
  });
}

test('a changed byte is corruption with file, place and both checksums, and only of that value', async () => {
  const disk = new SimulatedDisk();
  const [log, [first, second]] = await logWith(disk, 'one', 'two');
  await log.close();
  assert.ok(first !== undefined && second !== undefined);
  disk.mutate(`value/${sectionName(0)}`, (bytes) => {
    bytes.write('x', headerSize + second.offset, 'latin1');
    return bytes;
  });
  const again = open(disk);
  const expected = crc32c(Buffer.from('two')).toString(16).padStart(8, '0');
  const found = crc32c(Buffer.from('xwo')).toString(16).padStart(8, '0');
  await assert.rejects(read(again, second), {
    code: 'corruption',
    details: { file: `value/${sectionName(0)}`, offset: headerSize + second.offset, expected, found },
  });
  assert.equal(await read(again, first), 'one');
  await again.close();
});

test('a staged buffer is written once, and nothing is staged without new values', async () => {
  const disk = new SimulatedDisk();
  const [log] = await logWith(disk, 'one');
  assert.equal(log.stage(), undefined);
  assert.equal(log.pending, 0);
  append(log, Buffer.from('two'));
  assert.equal(log.pending, 7);
  await sync(log);
  assert.equal(log.stage(), undefined);
  await log.close();
});
