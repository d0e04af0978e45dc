/**
 * Memory that the machine has at hand before a run. A virtual machine gives back what was free for a moment, and the first
 * to touch it again pays more for a page than the disk takes to write it: whoever ran after a store that had just
 * removed its files was three times as fast. So before each run a process touches some gibibytes and ends.
 */
import { freemem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { answerParent, runChild } from './child.ts';
import { mebibyte } from './numbers.ts';

const touchedMax = 6144 * mebibyte;
const pieceSize = 256 * mebibyte;

/** Touches half of the memory that is free, six gibibytes at most. */
export async function touchMemory(): Promise<void> {
  await runChild(fileURLToPath(import.meta.url), { size: Math.min(touchedMax, freemem() / 2) });
}

async function touch({ size }: { readonly size: number }): Promise<object> {
  const pieceCount = Math.floor(size / pieceSize);
  return Array.from({ length: pieceCount }, () => Buffer.allocUnsafeSlow(pieceSize).fill(1)).map(
    ({ length }) => length,
  );
}

if (import.meta.main) await answerParent(touch);
