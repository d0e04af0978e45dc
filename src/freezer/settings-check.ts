import { pageSizeMax } from '../blob/page.ts';
import { FreezerError } from './freezer-error.ts';
import type { FreezerSettings } from './settings.ts';
import { tableSizeMax } from './table.ts';

const keySizeMax = 0xffff;
const resizeFrequencyMax = 254;
const resizeChunkSizeMax = 0xffff_ffff;
const changesMaxMax = 2 ** 24;
const compressionLevelMin = -131_072;
const compressionLevelMax = 22;
const partitionPattern = /^[A-Za-z0-9_-]+$/;

/** Passes settings that the engine can work with; names the first that it cannot, and its range (H12). */
export function checkSettings<V>(settings: FreezerSettings<V>): void {
  for (const field of ['keyPartition', 'valuePartition', 'tablePartition'] as const) {
    const name = settings[field];
    if (!partitionPattern.test(name)) refuse(field, JSON.stringify(name), 'letters, digits, - and _');
  }
  const partitions = new Set([settings.keyPartition, settings.valuePartition, settings.tablePartition]);
  if (partitions.size < 3) refuse('partitions', [...partitions].join(', '), 'three different names');
  within('keySize', settings.keySize, 1, keySizeMax);
  within('keyPageCache.pageSize', settings.keyPageCache.pageSize, 1, pageSizeMax);
  within('keyPageCache.pages', settings.keyPageCache.pages, 1, Number.MAX_SAFE_INTEGER);
  within('keyWriteBuffer', settings.keyWriteBuffer, 1, Number.MAX_SAFE_INTEGER);
  within('valueWriteBuffer', settings.valueWriteBuffer, 1, Number.MAX_SAFE_INTEGER);
  within('valueTargetSize', settings.valueTargetSize, 1, Number.MAX_SAFE_INTEGER);
  if (settings.valueCompression !== undefined) {
    within('valueCompression', settings.valueCompression, compressionLevelMin, compressionLevelMax);
  }
  within('tableInitialSize', settings.tableInitialSize, 1, tableSizeMax);
  if (!isPowerOfTwo(settings.tableInitialSize)) refuse('tableInitialSize', settings.tableInitialSize, 'a power of two');
  within('tableResizeFrequency', settings.tableResizeFrequency, 1, resizeFrequencyMax);
  within('tableResizeChunkSize', settings.tableResizeChunkSize, 1, resizeChunkSizeMax);
  within('tableReplayBuffer', settings.tableReplayBuffer, 1, Number.MAX_SAFE_INTEGER);
  within('tableChangesMax', settings.tableChangesMax, 1, changesMaxMax);
}

export function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}

function within(field: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    refuse(field, value, `an integer from ${min} to ${max}`);
}

function refuse(field: string, found: string | number, expected: string): never {
  throw new FreezerError('invalid-settings', `${field} is ${found}; expected ${expected}`, {
    details: { field, found, expected },
  });
}
