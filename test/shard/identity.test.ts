import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32c } from '../../src/codec/crc32c.ts';
import {
  type ExpectedIdentity,
  type Identity,
  identityFile,
  readIdentity,
  requireIdentity,
  writeIdentity,
} from '../../src/shard/identity.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';

const identity: Identity = {
  archive: 'invoices',
  shard: 3,
  instance: '0f4d2a1c-93f1-4c0a-9a57-6a1a3f0d2b11',
  engine: { keySize: 32, pageSize: 4084, compression: false },
  created: '2026-01-01T00:00:00.000Z',
};

describe('the identity of a shard', () => {
  test('is read as it was written', async () => {
    const disk = new SimulatedDisk();
    await writeIdentity(disk, identity);
    assert.deepEqual(await readIdentity(disk), identity);
    assert.equal(await readIdentity(new SimulatedDisk()), undefined);
  });

  test('fits the configuration or is refused with what was found and expected', () => {
    requireIdentity(identity, identity);
    const others: readonly [ExpectedIdentity, RegExp][] = [
      [{ ...identity, archive: 'letters' }, /archive found invoices, expected letters/],
      [{ ...identity, shard: 4 }, /shard found 3, expected 4/],
      [{ ...identity, engine: { ...identity.engine, keySize: 16 } }, /key size found 32, expected 16/],
      [{ ...identity, engine: { ...identity.engine, pageSize: 1024 } }, /page size found 4084, expected 1024/],
      [{ ...identity, engine: { ...identity.engine, compression: true } }, /compression found false, expected true/],
    ];
    for (const [expected, message] of others) {
      assert.throws(() => requireIdentity(identity, expected), { code: 'identity-mismatch', message });
    }
  });

  test('is damaged, and never another one, whichever byte is flipped', async () => {
    const whole = new SimulatedDisk();
    await writeIdentity(whole, identity);
    for (let at = 0; at < whole.bytesOf(identityFile).length; at++) {
      for (const bit of [0x01, 0x20]) {
        const disk = whole.clone();
        disk.mutate(identityFile, (bytes) => {
          bytes[at] = (bytes[at] ?? 0) ^ bit;
          return bytes;
        });
        const found = await readIdentity(disk).catch((error: { code: string }) => error.code);
        if (typeof found === 'string') assert.equal(found, 'damaged', `byte ${at}`);
        else assert.deepEqual(found, identity, `byte ${at}`);
      }
    }
  });

  test('of a newer format is refused', async () => {
    const disk = new SimulatedDisk();
    const document = { format: 2, archive: 'invoices' };
    const checksum = crc32c(Buffer.from(JSON.stringify(document)))
      .toString(16)
      .padStart(8, '0');
    disk.place(identityFile, Buffer.from(JSON.stringify({ ...document, checksum })));
    await assert.rejects(readIdentity(disk), { code: 'version-unknown', message: /format 2 found, 1 expected/ });
  });

  test('is whole or missing after a crash at any point of its writing', async () => {
    const rehearsal = new SimulatedDisk();
    await writeIdentity(rehearsal, identity);
    for (let step = 1; step <= rehearsal.steps; step++) {
      for (let seed = 0; seed < 30; seed++) {
        const disk = new SimulatedDisk();
        disk.failAt(step, 'crash');
        await assert.rejects(writeIdentity(disk, identity));
        const found = await readIdentity(disk.crash({ seed }));
        if (found !== undefined) assert.deepEqual(found, identity);
      }
    }
    assert.deepEqual(await readIdentity(rehearsal.crash('synced')), identity);
  });
});
