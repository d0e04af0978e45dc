import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, mock, test } from 'node:test';
import type { DiskFile } from '../../src/disk/disk.ts';
import { DiskError } from '../../src/disk/disk-error.ts';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import { contentOf, describeDisk, diskError } from './disk-behaviour.ts';

const disk = new URL('../../src/disk/node-disk.ts', import.meta.url).href;
const roots: string[] = [];

function makeDisk(): NodeDisk {
  const root = fs.mkdtempSync(join(tmpdir(), 'permafrost-disk-'));
  roots.push(root);
  return new NodeDisk(root);
}

async function withFile(work: (file: DiskFile, disk: NodeDisk) => Promise<void>): Promise<void> {
  const disk = makeDisk();
  const file = await disk.open('a', { create: true });
  try {
    await work(file, disk);
  } finally {
    await file.close();
  }
}

type Done = (error: NodeJS.ErrnoException | null, count: number) => void;
type Transfer = (descriptor: number, bytes: Buffer, offset: number, size: number, position: number, done: Done) => void;

/** Lets one call move at most `sizeMax` bytes, as the kernel may. */
function sipping(transfer: Transfer, sizeMax: number): Transfer {
  return (descriptor, bytes, offset, size, position, done) =>
    transfer(descriptor, bytes, offset, Math.min(size, sizeMax), position, done);
}

function failing(code: string): Transfer {
  return (_descriptor, _bytes, _offset, _size, _position, done) =>
    done(Object.assign(new Error(`${code}: on purpose`), { code }), 0);
}

describe('the disk of Node', () => {
  afterEach(() => {
    mock.restoreAll();
    for (const root of roots.splice(0)) fs.rmSync(root, { recursive: true });
  });

  describeDisk(makeDisk);

  test('makes its root, with the directories above it', async () => {
    const disk = new NodeDisk(join(makeDisk().root, 'x', 'y'));
    assert.equal(await disk.stat(''), undefined);
    await disk.makeDirectory('');
    assert.deepEqual(await disk.list(''), []);
  });

  test('says of something that is neither file nor directory that it is other', async () => {
    const disk = makeDisk();
    fs.symlinkSync('/dev/null', join(disk.root, 'device'));
    assert.equal((await disk.stat('device'))?.kind, 'other');
  });

  test('goes on after reads and writes that the kernel cut short', async () => {
    const read = fs.read as unknown as Transfer;
    const write = fs.write as unknown as Transfer;
    await withFile(async (file, disk) => {
      const writing = mock.method(fs, 'write', sipping(write, 3) as unknown as typeof fs.write);
      await file.write(5, Buffer.from('0123456789'));
      assert.equal(writing.mock.callCount(), 4);
      const reading = mock.method(fs, 'read', sipping(read, 4) as unknown as typeof fs.read);
      assert.equal((await contentOf(disk, 'a')).toString('latin1'), '\0\0\0\0\x000123456789');
      assert.equal(reading.mock.callCount(), 4);
    });
  });

  test('fails a write of which the kernel takes nothing, and does not try for ever', async () => {
    await withFile(async (file) => {
      mock.method(fs, 'write', ((_descriptor, _bytes, _offset, _size, _position, done) =>
        setImmediate(done, null, 0)) as Transfer as unknown as typeof fs.write);
      await assert.rejects(file.write(0, Buffer.from('abc')), diskError('disk-failed', 'a'));
    });
  });

  for (const [system, code, retriable] of [
    ['ENOSPC', 'disk-full', true],
    ['EDQUOT', 'disk-full', true],
    ['EIO', 'disk-failed', false],
    // libuv repeats an interrupted call, so that this one never arrives; it would be no success.
    ['EINTR', 'disk-failed', false],
  ] as const) {
    test(`calls ${system} ${code}, and says where it met it`, async () => {
      await withFile(async (file) => {
        mock.method(fs, 'write', failing(system) as unknown as typeof fs.write);
        await assert.rejects(file.write(7, Buffer.from('abc')), (error) => {
          assert.ok(error instanceof DiskError);
          assert.equal(error.code, code);
          assert.equal(error.retriable, retriable);
          assert.deepEqual(error.details, { operation: 'write', path: 'a', offset: 7, size: 3, system });
          return true;
        });
      });
    });
  }

  test('starts no further writes of a list after one failed, and waits for those that it had started', async () => {
    await withFile(async (file) => {
      const pending: Done[] = [];
      mock.method(fs, 'write', ((_descriptor, _bytes, _offset, _size, _position, done) => {
        pending.push(done);
      }) as Transfer as unknown as typeof fs.write);
      let ended = false;
      const writes = Array.from({ length: 200 }, (_, index) => ({ offset: index, bytes: Buffer.alloc(1) }));
      const writing = file.writeMany(writes).finally(() => {
        ended = true;
      });
      const outcome = assert.rejects(writing, diskError('disk-failed', 'a'));
      const started = pending.length;
      assert.ok(started > 1 && started < 200, `${started} at once`);
      pending[0]?.(Object.assign(new Error('EIO'), { code: 'EIO' }), 0);
      for (const done of pending.slice(1, -1)) done(null, 1);
      await new Promise(setImmediate);
      assert.equal(ended, false);
      pending.at(-1)?.(null, 1);
      await outcome;
      assert.equal(pending.length, started);
    });
  });

  test('asks the kernel to make durable what is synced, file or directory', async () => {
    const synced: string[] = [];
    for (const call of ['fsync', 'fdatasync'] as const) {
      const real = fs[call];
      mock.method(fs, call, (descriptor: number, done: fs.NoParamCallback) => {
        synced.push(fs.fstatSync(descriptor).isDirectory() ? 'directory' : 'file');
        real(descriptor, done);
      });
    }
    // The disk takes the calls of the kernel when it is loaded.
    const watched: { NodeDisk: typeof NodeDisk } = await import(`${disk}?watched`);
    const here = new watched.NodeDisk(makeDisk().root);
    const file = await here.open('a', { create: true });
    await file.write(0, Buffer.from('abc'));
    assert.deepEqual(synced, []);
    await file.sync();
    assert.deepEqual(synced, ['file']);
    await here.syncDirectory('');
    assert.deepEqual(synced, ['file', 'directory']);
    await file.close();
  });

  test('leaves no descriptor open behind a sync of a directory', {
    skip: !fs.existsSync('/proc/self/fd'),
  }, async () => {
    const disk = makeDisk();
    const before = fs.readdirSync('/proc/self/fd').length;
    await disk.makeDirectory('d');
    await disk.syncDirectory('d');
    await assert.rejects(disk.syncDirectory('missing'), diskError('not-found', 'missing'));
    assert.equal(fs.readdirSync('/proc/self/fd').length, before);
  });
});
