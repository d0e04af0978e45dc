import fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BenchRecord, Contender } from './contender.ts';

const writev = promisify(fs.writev);
const fdatasync = promisify(fs.fdatasync);

/** The limit of the disk: one file, one gathered write and one fdatasync a batch, nothing to look records up with. */
export async function openRawLog(directory: string): Promise<Contender> {
  const descriptor = await promisify(fs.open)(join(directory, 'log'), 'wx');
  let syncs = 0;
  return {
    async putDurably(batch: readonly BenchRecord[]): Promise<void> {
      await writeAll(descriptor, batch);
      await fdatasync(descriptor);
      syncs++;
    },
    close: () => promisify(fs.close)(descriptor),
    facts: () => ({ syncs }),
    reopen: async () => undefined,
  };
}

/** `writev` takes at most 1,024 buffers a call. */
const buffersPerWrite = 1024;

async function writeAll(descriptor: number, batch: readonly BenchRecord[]): Promise<void> {
  const buffers = batch.flatMap((record) => [record.key, record.value]);
  for (let start = 0; start < buffers.length; start += buffersPerWrite) {
    let pending: Buffer[] = buffers.slice(start, start + buffersPerWrite);
    while (pending.length > 0) {
      const { bytesWritten } = await writev(descriptor, pending);
      pending = without(pending, bytesWritten);
    }
  }
}

/** What is left of the buffers after their first `size` bytes. */
function without(buffers: readonly Buffer[], size: number): Buffer[] {
  let rest = size;
  return buffers.flatMap((buffer) => {
    const cut = Math.min(rest, buffer.length);
    rest -= cut;
    return cut === buffer.length ? [] : [buffer.subarray(cut)];
  });
}
