/**
 * The digests of the table's heads, saved with each checkpoint: two files that are written in turn, so that those of the
 * newest durable checkpoint are never written over.
 *
 * Format, big-endian:
 *
 *   magic "PFTD" (4) | version (2) | buckets of a window (2) | epoch (8) | instance (16) | windows (4) | digests (4 each)
 *   | CRC-32C of all before (4)
 *
 * Crash behaviour: the file of an epoch is durable before the checkpoint that needs it is written. One that was torn
 * belongs to a checkpoint that never was, and is written over by the next.
 */
import { crc32c, crcSize } from '../codec/crc32c.ts';
import { readU64, u16Size, u32Size, u64Size, writeU64 } from '../codec/integer.ts';
import type { Disk } from '../disk/disk.ts';
import type { Checkpoint } from '../freezer/checkpoint.ts';
import { HeadDigests } from '../freezer/head-digests.ts';
import type { SavedCheckpoint } from './checkpoint-file.ts';
import { readWhole, replaceFile } from './replace-file.ts';
import { damaged } from './shard-error.ts';

/** Whose digests they are. */
export type DigestsOf = Pick<SavedCheckpoint, 'instance'> & { readonly checkpoint: { readonly epoch: number } };

export const tableDigestFiles = ['table-digests-0', 'table-digests-1'] as const;

const magic = 'PFTD';
const formatVersion = 1;
const instanceSize = 16;
const versionAt = magic.length;
const windowBucketsAt = versionAt + u16Size;
const epochAt = windowBucketsAt + u16Size;
const instanceAt = epochAt + u64Size;
const countAt = instanceAt + instanceSize;
const wordsAt = countAt + u32Size;

/** The file that has the digests of an epoch. */
export function tableDigestFile(epoch: number): string {
  return epoch % 2 === 0 ? tableDigestFiles[0] : tableDigestFiles[1];
}

/** Makes both files if they are missing. Their names are durable on return, whoever made them. */
export async function prepareTableDigests(disk: Disk): Promise<void> {
  for (const path of tableDigestFiles) {
    if ((await disk.stat(path)) !== undefined) continue;
    const file = await disk.open(path, { create: true });
    await file.close();
  }
  await disk.syncDirectory('');
}

/** Makes the digests durable, before the checkpoint is. The files are there. */
export async function writeTableDigests(disk: Disk, of: DigestsOf, digests: HeadDigests): Promise<void> {
  const bytes = encode(of, digests);
  const file = await disk.open(tableDigestFile(of.checkpoint.epoch), { create: false });
  try {
    if ((await file.size()) > bytes.length) await file.truncate(bytes.length);
    await file.write(0, bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Puts them in the place of those that the newest checkpoint has: after a crash one of the two is there, whole. */
export function replaceTableDigests(disk: Disk, of: DigestsOf, digests: HeadDigests): Promise<void> {
  return replaceFile(disk, tableDigestFile(of.checkpoint.epoch), encode(of, digests));
}

/** The digests of a checkpoint. Missing, damaged or those of another one are `damaged`: the table is made anew. */
export async function readTableDigests(disk: Disk, saved: SavedCheckpoint): Promise<HeadDigests> {
  const path = tableDigestFile(saved.checkpoint.epoch);
  const found = await readFile(disk, path, saved.instance);
  const problem = typeof found === 'string' ? found : mismatch(found, saved.checkpoint);
  if (typeof found !== 'string' && problem === undefined) return found.digests;
  throw damaged(path, `${problem}; \`permafrost rebuild\` makes the table and its digests anew`);
}

/** What is wrong with either file, one text each. */
export async function tableDigestDamage(disk: Disk, saved: SavedCheckpoint): Promise<readonly string[]> {
  const { checkpoint, instance, clean } = saved;
  const path = tableDigestFile(checkpoint.epoch);
  const found = await readFile(disk, path, instance);
  const problem = typeof found === 'string' ? found : mismatch(found, checkpoint);
  const problems = problem === undefined ? [] : [`${path}: ${problem}`];
  if (checkpoint.epoch < 2) return problems;
  const otherPath = tableDigestFile(checkpoint.epoch - 1);
  const other = await readFile(disk, otherPath, instance);
  if (typeof other === 'string') problems.push(`${otherPath}: a write to it was torn, or it is damaged: ${other}`);
  else if (clean && other.epoch !== checkpoint.epoch - 1) problems.push(`${otherPath}: epoch ${other.epoch} found`);
  return problems;
}

interface Found {
  readonly epoch: number;
  readonly digests: HeadDigests;
}

function mismatch({ epoch, digests }: Found, expected: Checkpoint): string | undefined {
  if (epoch !== expected.epoch) return `epoch ${epoch} found, ${expected.epoch} expected`;
  if (digests.tableSize === expected.tableSize) return undefined;
  return `digests of ${digests.tableSize} buckets found, ${expected.tableSize} expected`;
}

/** What a file has, or what is wrong with it. */
async function readFile(disk: Disk, path: string, instance: string): Promise<Found | string> {
  const bytes = await readWhole(disk, path);
  return bytes === undefined ? 'the file is missing' : decode(bytes, instance);
}

function encode({ checkpoint: { epoch }, instance }: DigestsOf, { windowBuckets, words }: HeadDigests): Buffer {
  const bytes = Buffer.alloc(wordsAt + words.length * u32Size + crcSize);
  bytes.write(magic, 'latin1');
  bytes.writeUInt16BE(formatVersion, versionAt);
  bytes.writeUInt16BE(windowBuckets, windowBucketsAt);
  writeU64(bytes, epoch, epochAt);
  bytes.write(instance.replaceAll('-', ''), instanceAt, 'hex');
  bytes.writeUInt32BE(words.length, countAt);
  let at = wordsAt;
  for (const word of words) at = bytes.writeUInt32BE(word, at);
  bytes.writeUInt32BE(crc32c(bytes.subarray(0, at)), at);
  return bytes;
}

function decode(bytes: Buffer, instance: string): Found | string {
  const end = bytes.length - crcSize;
  if (end < wordsAt || bytes.toString('latin1', 0, versionAt) !== magic) return 'it is no file of digests';
  if (crc32c(bytes.subarray(0, end)) !== bytes.readUInt32BE(end)) return 'its checksum does not match';
  const version = bytes.readUInt16BE(versionAt);
  if (version !== formatVersion) return `version ${version} found, ${formatVersion} expected`;
  const found = bytes.toString('hex', instanceAt, countAt);
  if (found !== instance.replaceAll('-', '')) return `it is of the shard ${found}`;
  const words = new Uint32Array((end - wordsAt) / u32Size);
  if (words.length !== bytes.readUInt32BE(countAt)) return 'the digests do not fit its length';
  for (let index = 0; index < words.length; index++) words[index] = bytes.readUInt32BE(wordsAt + index * u32Size);
  const digests = new HeadDigests(bytes.readUInt16BE(windowBucketsAt), words);
  return { epoch: readU64(bytes, epochAt), digests };
}
