import fs from 'node:fs/promises';
import os from 'node:os';
import { mebibytes } from './numbers.ts';

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

export function machineLine(machine: Machine): string {
  const { processor, processors, memoryBytes, fileSystem, system, node } = machine;
  return `${processor}, ${processors} processors, ${mebibytes(memoryBytes)} memory, ${fileSystem}, ${system}, node ${node}`;
}
