import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AssertionFailure } from '../../src/base/assert.ts';
import type { Disk, DiskFile } from '../../src/disk/disk.ts';
import { DiskError } from '../../src/disk/disk-error.ts';
import { Random } from '../simulation/random.ts';

type DiskMaker = () => Disk;

/** What every implementation of the disk port does; each calls it with a maker of empty disks. */
export function describeDisk(make: DiskMaker): void {
  describe('a file', () => describeFile(make));
  describe('names', () => describeNames(make));
  describe('misuse', () => describeMisuse(make));
}

/** The bytes of a whole file, through a handle of their own. */
export async function contentOf(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, { create: false });
  try {
    const bytes = Buffer.alloc(await file.size());
    await file.read(0, bytes);
    return bytes;
  } finally {
    await file.close();
  }
}

/** Accepts a DiskError with this code that says which path it is about. */
export function diskError(code: string, path: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DiskError, String(error));
    assert.equal(error.code, code);
    assert.equal(error.details.path, path);
    return true;
  };
}

async function withFile(disk: Disk, path: string, work: (file: DiskFile) => Promise<void>): Promise<void> {
  const file = await disk.open(path, { create: true });
  try {
    await work(file);
  } finally {
    await file.close();
  }
}

function describeFile(make: DiskMaker): void {
  test('that is missing is made only when asked', async () => {
    const disk = make();
    await assert.rejects(disk.open('a', { create: false }), diskError('not-found', 'a'));
    await withFile(disk, 'a', async (file) => {
      assert.equal(file.path, 'a');
      assert.equal(await file.size(), 0);
    });
    assert.deepEqual(await disk.stat('a'), { kind: 'file', size: 0 });
  });

  test('keeps its bytes when it is opened again, with create as well', async () => {
    const disk = make();
    await withFile(disk, 'a', (file) => file.write(0, Buffer.from('hello')));
    await withFile(disk, 'a', async (file) => assert.equal(await file.size(), 5));
    assert.equal((await contentOf(disk, 'a')).toString(), 'hello');
  });

  test('grows by writes behind its end, and gaps read as zeros', async () => {
    const disk = make();
    await withFile(disk, 'a', async (file) => {
      await file.write(0, Buffer.from('ab'));
      await file.write(10_000, Buffer.from('yz'));
      assert.equal(await file.size(), 10_002);
    });
    const bytes = await contentOf(disk, 'a');
    assert.equal(bytes.toString('latin1', 0, 4), 'ab\0\0');
    assert.ok(bytes.subarray(2, 10_000).every((byte) => byte === 0));
    assert.equal(bytes.toString('latin1', 10_000), 'yz');
  });

  test('is overwritten in place', async () => {
    const disk = make();
    await withFile(disk, 'a', async (file) => {
      await file.write(0, Buffer.from('0123456789'));
      await file.write(3, Buffer.from('xyz'));
    });
    assert.equal((await contentOf(disk, 'a')).toString(), '012xyz6789');
  });

  test('takes and gives nothing for empty ranges, wherever they are', async () => {
    await withFile(make(), 'a', async (file) => {
      await file.write(100, Buffer.alloc(0));
      await file.writeMany([]);
      assert.equal(await file.size(), 0);
      await file.read(100, Buffer.alloc(0));
      await file.readMany([]);
    });
  });

  test('fails a read that meets its end, with what it expected and found', async () => {
    await withFile(make(), 'a', async (file) => {
      await file.write(0, Buffer.from('hello'));
      await assert.rejects(file.read(3, Buffer.alloc(4)), (error) => {
        diskError('short-read', 'a')(error);
        assert.ok(error instanceof DiskError);
        assert.deepEqual(error.details, { operation: 'read', path: 'a', offset: 3, expected: 4, found: 2 });
        return true;
      });
      await assert.rejects(file.read(6, Buffer.alloc(1)), diskError('short-read', 'a'));
      const good = Buffer.alloc(1);
      const reads = [
        { offset: 4, into: good },
        { offset: 5, into: Buffer.alloc(1) },
      ];
      await assert.rejects(file.readMany(reads), diskError('short-read', 'a'));
      assert.equal(good.toString(), 'o', 'the other read of the list was done');
    });
  });

  test('fills the part of a buffer that it is given and no more', async () => {
    await withFile(make(), 'a', async (file) => {
      await file.write(0, Buffer.from('hello'));
      const buffer = Buffer.from('----------');
      await file.read(1, buffer.subarray(2, 5));
      assert.equal(buffer.toString(), '--ell-----');
    });
  });

  test('writes the part of a buffer that it is given and no more', async () => {
    const disk = make();
    await withFile(disk, 'a', (file) => file.write(1, Buffer.from('0123456789').subarray(2, 5)));
    assert.equal((await contentOf(disk, 'a')).toString(), '\x00234');
  });

  test('is cut and extended, and what was cut reads as zeros afterwards', async () => {
    const disk = make();
    await withFile(disk, 'a', async (file) => {
      await file.write(0, Buffer.alloc(9000, 7));
      await file.truncate(4100);
      await file.sync();
    });
    await withFile(disk, 'a', async (file) => {
      assert.equal(await file.size(), 4100);
      await assert.rejects(file.read(4099, Buffer.alloc(2)), diskError('short-read', 'a'));
      await file.truncate(6000);
    });
    const bytes = await contentOf(disk, 'a');
    assert.equal(bytes.length, 6000);
    assert.ok(bytes.every((byte, offset) => byte === (offset < 4100 ? 7 : 0)));
  });

  test('of 10 MB is written and read in lists of a thousand pieces', async () => {
    const disk = make();
    const pieceSize = 10_486;
    const whole = new Random(1).bytes(1000 * pieceSize);
    const pieces = Array.from({ length: 1000 }, (_, index) => index * pieceSize);
    await withFile(disk, 'a', async (file) => {
      const shuffled = new Random(2).shuffled(pieces);
      await file.writeMany(shuffled.map((offset) => ({ offset, bytes: whole.subarray(offset, offset + pieceSize) })));
      await file.sync();
      const copy = Buffer.alloc(whole.length);
      await file.readMany(pieces.map((offset) => ({ offset, into: copy.subarray(offset, offset + pieceSize) })));
      assert.ok(copy.equals(whole));
    });
    assert.ok((await contentOf(disk, 'a')).equals(whole));
  });

  test('is read and written side by side, through one handle and through two', async () => {
    const disk = make();
    const { bytes, other } = { bytes: new Random(3).bytes(64 * 512), other: new Random(4).bytes(64 * 512) };
    await withFile(disk, 'a', async (file) => {
      await file.write(0, bytes);
      const reader = await disk.open('a', { create: false });
      const seen = Buffer.alloc(bytes.length);
      const at = (index: number): number => index * 512;
      await Promise.all(
        Array.from({ length: 64 }, async (_, index) => {
          const start = at(index);
          if (index % 2 === 0) await file.write(start, other.subarray(start, start + 512));
          await (index % 3 === 0 ? reader : file).read(start, seen.subarray(start, start + 512));
        }),
      );
      for (let index = 0; index < 64; index++) {
        const expected = index % 2 === 0 ? other : bytes;
        assert.ok(seen.subarray(at(index), at(index + 1)).equals(expected.subarray(at(index), at(index + 1))));
      }
      await reader.close();
    });
  });

  test('stays readable through its handle after it was removed', async () => {
    const disk = make();
    await withFile(disk, 'a', async (file) => {
      await file.write(0, Buffer.from('still here'));
      await disk.remove('a');
      assert.equal(await disk.stat('a'), undefined);
      const bytes = Buffer.alloc(10);
      await file.read(0, bytes);
      assert.equal(bytes.toString(), 'still here');
      await file.sync();
    });
  });
}

function describeNames(make: DiskMaker): void {
  test('of the root are listed, and an empty path means the root', async () => {
    const disk = make();
    await disk.makeDirectory('');
    assert.deepEqual(await disk.list(''), []);
    assert.equal((await disk.stat(''))?.kind, 'directory');
    await disk.makeDirectory('d');
    await withFile(disk, 'f', async () => {});
    assert.deepEqual([...((await disk.list('')) ?? [])].sort(), ['d', 'f']);
    await disk.syncDirectory('');
  });

  test('of directories are made once, and again without complaint', async () => {
    const disk = make();
    await disk.makeDirectory('d');
    await withFile(disk, 'd/f', async () => {});
    await disk.makeDirectory('d');
    assert.deepEqual(await disk.list('d'), ['f']);
    assert.equal((await disk.stat('d'))?.kind, 'directory');
    await disk.syncDirectory('d');
  });

  test('below a directory that is missing cannot be made', async () => {
    const disk = make();
    await assert.rejects(disk.open('d/f', { create: true }), diskError('not-found', 'd/f'));
    await assert.rejects(disk.makeDirectory('d/e'), diskError('not-found', 'd/e'));
    await assert.rejects(disk.syncDirectory('d'), diskError('not-found', 'd'));
  });

  test('that are missing are undefined to stat and list, and errors to everything else', async () => {
    const disk = make();
    assert.equal(await disk.stat('a'), undefined);
    assert.equal(await disk.list('a'), undefined);
    await assert.rejects(disk.remove('a'), diskError('not-found', 'a'));
    await assert.rejects(disk.removeDirectory('a'), diskError('not-found', 'a'));
    await assert.rejects(disk.rename('a', 'b'), diskError('not-found', 'a'));
  });

  test('of files cannot stand for directories, nor the other way round', async () => {
    const disk = make();
    await disk.makeDirectory('d');
    await withFile(disk, 'f', async () => {});
    await assert.rejects(disk.open('d', { create: true }), diskError('disk-failed', 'd'));
    await assert.rejects(disk.makeDirectory('f'), diskError('disk-failed', 'f'));
    await assert.rejects(disk.list('f'), diskError('disk-failed', 'f'));
    await assert.rejects(disk.syncDirectory('f'), diskError('disk-failed', 'f'));
    await assert.rejects(disk.remove('d'), diskError('disk-failed', 'd'));
    await assert.rejects(disk.removeDirectory('f'), diskError('disk-failed', 'f'));
    await assert.rejects(disk.rename('f', 'd'), diskError('disk-failed', 'f'));
    await assert.rejects(disk.open('f/below', { create: true }), diskError('disk-failed', 'f/below'));
    await assert.rejects(disk.stat('f/below'), diskError('disk-failed', 'f/below'));
  });

  test('go away one by one, a directory only when it is empty', async () => {
    const disk = make();
    await disk.makeDirectory('d');
    await withFile(disk, 'd/f', async () => {});
    await assert.rejects(disk.removeDirectory('d'), diskError('disk-failed', 'd'));
    await disk.remove('d/f');
    await disk.removeDirectory('d');
    assert.deepEqual(await disk.list(''), []);
  });

  test('move with their bytes, inside a directory and between two, and replace what was there', async () => {
    const disk = make();
    await disk.makeDirectory('d');
    await withFile(disk, 'a', (file) => file.write(0, Buffer.from('new')));
    await withFile(disk, 'b', (file) => file.write(0, Buffer.from('older')));
    await disk.rename('a', 'b');
    assert.equal((await contentOf(disk, 'b')).toString(), 'new');
    await disk.rename('b', 'd/c');
    assert.equal((await contentOf(disk, 'd/c')).toString(), 'new');
    await disk.rename('d/c', 'd/c');
    assert.deepEqual([await disk.list(''), await disk.list('d')], [['d'], ['c']]);
  });

  test('of every plain kind are taken', async () => {
    const disk = make();
    const names = ['partition', 'my_partition', 'my-partition', 'A1', '0000000000000000', 'identity.json', 'ä'];
    for (const name of names) await withFile(disk, name, async () => {});
    assert.deepEqual([...((await disk.list('')) ?? [])].sort(), [...names].sort());
  });

  test('that lead out of the root are refused', async () => {
    const disk = make();
    for (const path of ['../escape', 'a/../b', '/etc', '.', 'a//b', 'a/', '..']) {
      await assert.rejects(async () => disk.open(path, { create: true }), AssertionFailure, path);
      await assert.rejects(async () => disk.remove(path), AssertionFailure, path);
      await assert.rejects(async () => disk.list(path), AssertionFailure, path);
    }
  });
}

function describeMisuse(make: DiskMaker): void {
  test('of a closed handle is an assertion, whatever is asked of it', async () => {
    const file = await make().open('a', { create: true });
    await file.close();
    const bytes = Buffer.alloc(1);
    for (const use of [
      () => file.size(),
      () => file.read(0, bytes),
      () => file.readMany([{ offset: 0, into: bytes }]),
      () => file.write(0, bytes),
      () => file.writeMany([{ offset: 0, bytes }]),
      () => file.truncate(0),
      () => file.sync(),
      () => file.close(),
    ]) {
      await assert.rejects(async () => use(), AssertionFailure);
    }
  });

  test('by closing a handle on which something is under way is an assertion', async () => {
    const file = await make().open('a', { create: true });
    const reading = assert.rejects(file.read(0, Buffer.alloc(1)), diskError('short-read', 'a'));
    await assert.rejects(async () => file.close(), AssertionFailure);
    await reading;
    await file.close();
  });

  test('by an offset or size that no file has is an assertion', async () => {
    await withFile(make(), 'a', async (file) => {
      for (const offset of [-1, 0.5, Number.NaN, 2 ** 53]) {
        await assert.rejects(async () => file.read(offset, Buffer.alloc(1)), AssertionFailure);
        await assert.rejects(async () => file.readMany([{ offset, into: Buffer.alloc(1) }]), AssertionFailure);
        await assert.rejects(async () => file.write(offset, Buffer.alloc(1)), AssertionFailure);
        await assert.rejects(async () => file.writeMany([{ offset, bytes: Buffer.alloc(1) }]), AssertionFailure);
        await assert.rejects(async () => file.truncate(offset), AssertionFailure);
      }
      assert.equal(await file.size(), 0);
    });
  });
}
