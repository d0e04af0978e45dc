import fs from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';

/** The value in the middle of the sorted numbers, or the mean of the two there; 0 without numbers. */
export function median(numbers: readonly number[]): number {
  return (quantile(numbers, 0.5, Math.floor) + quantile(numbers, 0.5, Math.ceil)) / 2;
}

/** The number that a share of all numbers does not exceed. */
export function percentile(numbers: readonly number[], share: number): number {
  return quantile(numbers, share, Math.ceil);
}

function quantile(numbers: readonly number[], share: number, round: (position: number) => number): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  return sorted[round(share * (sorted.length - 1))] ?? 0;
}

/** Bytes that this process has caused to be written to storage, or undefined where the system does not say. */
export async function storageBytesWritten(): Promise<number | undefined> {
  try {
    const match = /^write_bytes: (\d+)$/m.exec(await fs.readFile('/proc/self/io', 'utf8'));
    return match === null ? undefined : Number(match[1]);
  } catch {
    return undefined;
  }
}

/** Bytes that the files below a directory occupy. */
export async function diskBytesOf(directory: string): Promise<number> {
  const blockSize = 512;
  let size = 0;
  for (const entry of await fs.readdir(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) size += (await fs.stat(join(entry.parentPath, entry.name))).blocks * blockSize;
  }
  return size;
}

/** Highest resident memory of this process so far, in bytes. */
export function peakResidentBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}

/** Where the numbers were measured. */
export interface Machine {
  readonly processor: string;
  readonly processors: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  readonly fileSystem: string;
}

const fileSystemNames: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs (not durable: numbers say nothing about a disk)',
  2035054128: 'overlayfs',
  26985: 'nfs',
  801189825: 'zfs',
};

export async function describeMachine(directory: string): Promise<Machine> {
  const { type } = await fs.statfs(directory);
  return {
    processor: os.cpus()[0]?.model ?? 'unknown',
    processors: os.cpus().length,
    memoryBytes: os.totalmem(),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    fileSystem: fileSystemNames[type] ?? `type 0x${type.toString(16)}`,
  };
}
