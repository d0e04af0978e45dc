import { createHash } from 'node:crypto';
import type { Disk } from '../../src/disk/disk.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import { int32Codec } from '../../src/freezer/value-codec.ts';
import { StdRandom } from './std-random.ts';
import { type StoredFile, storedFiles } from './stored-files.ts';

/** Stores of the published hash. */
export const conformanceStoreCount = 512;

const putCount = 64;
const putsPerSync = 8;
const keySize = 64;
const digestSize = 32;

function conformanceSettings(seed: number): FreezerSettings<number> {
  return {
    keyPartition: `freezer-key-conformance-${seed}`,
    valuePartition: `freezer-value-conformance-${seed}`,
    tablePartition: `freezer-table-conformance-${seed}`,
    keySize,
    keyPageCache: { pageSize: 1024, pages: 10 },
    valueCodec: int32Codec,
    keyWriteBuffer: 1024,
    valueWriteBuffer: 1024,
    valueTargetSize: 128,
    tableInitialSize: 4,
    tableResizeFrequency: 1,
    tableResizeChunkSize: 4,
    tableReplayBuffer: 1024,
    tableChangesMax: 1024,
  };
}

/** Writes the store of one seed to an empty disk, closes it, and returns its digest. */
export async function conformanceDigest(disk: Disk, seed: number): Promise<Buffer> {
  const settings = conformanceSettings(seed);
  const freezer = await Freezer.open(disk, settings, { kind: 'create' });
  const random = new StdRandom(BigInt(seed));
  for (let value = 0; value < putCount; value++) {
    await freezer.put(random.bytes(keySize), value);
    if (value % putsPerSync === 0) await freezer.sync();
  }
  await freezer.close();
  return storeDigest(
    await storedFiles(disk, [settings.keyPartition, settings.tablePartition, settings.valuePartition]),
  );
}

/** SHA-256 over partition, raw name and content of every file, with nothing in between. */
export function storeDigest(files: readonly StoredFile[]): Buffer {
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(file.partition, 'ascii').update(Buffer.from(file.name, 'hex')).update(file.bytes);
  }
  return hash.digest();
}

/** The hash over the stores of the seeds 0 to `count - 1`, in hex; `emptyDisk` gives a new disk for each. */
export async function conformanceHash(count: number, emptyDisk: () => Disk): Promise<string> {
  const total = createHash('sha256');
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(digestSize));
  for (let seed = 0; seed < count; seed++) {
    total.update(size).update(await conformanceDigest(emptyDisk(), seed));
  }
  return total.digest('hex');
}
