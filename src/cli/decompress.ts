/**
 * Undoes the compression of a stream of bytes: gzip with any number of members, zstd with any number of frames.
 *
 * Node's decompressor for zstd ends at the first frame and drops what follows it without a word, though tools that
 * compress in parallel, and `cat a.zst b.zst`, write several; here each gets a decompressor of its own. Node's streams
 * also drop what was decompressed, and not read yet, when an error meets them; here everything before a damage is given,
 * and then the error, so that what a damaged file gives does not depend on who is faster.
 */
import type { Transform } from 'node:stream';
import { createGunzip, createZstdDecompress, type Zlib, type ZlibOptions } from 'node:zlib';
import type { Compression } from './compression.ts';

type Decompressor = Transform & Zlib;

/** One piece of output at a time: with more, those that nobody has read yet would go with an error. */
const streamOptions: Pick<ZlibOptions, 'chunkSize'> & { readonly readableHighWaterMark: number } = {
  readableHighWaterMark: 1,
};

/** The bytes before their compression. Errors: those of the source, and of a stream that is damaged or cut. */
export async function* decompressed(
  chunks: AsyncIterable<Buffer>,
  compression: Compression,
): AsyncGenerator<Buffer, void> {
  if (compression === 'none') return yield* chunks;
  let stage = new Stage(compression);
  try {
    for await (const chunk of chunks) {
      let taken = yield* stage.take(chunk);
      while (taken < chunk.length) {
        // A member of gzip that ends there is followed by zeros, which fill a block up; others are taken by themselves.
        if (compression === 'gzip') return;
        stage.close();
        stage = new Stage(compression);
        const rest = chunk.subarray(taken);
        taken += yield* stage.take(rest);
      }
    }
    yield* stage.end();
  } finally {
    stage.close();
  }
}

/** A decompressor, fed and emptied by hand. */
class Stage {
  readonly #decompressor: Decompressor;
  #error: Error | undefined;
  #ended = false;
  #wake: () => void = () => {};

  constructor(compression: Exclude<Compression, 'none'>) {
    this.#decompressor = compression === 'gzip' ? createGunzip(streamOptions) : createZstdDecompress(streamOptions);
    this.#decompressor
      .on('readable', () => this.#wake())
      .on('end', () => {
        this.#ended = true;
        this.#wake();
      })
      .on('error', (error: Error) => {
        this.#error = error;
        this.#wake();
      });
  }

  /** Gives what the chunk becomes; returns how many of its bytes were taken, less than all if the stream ended in it. */
  async *take(chunk: Buffer): AsyncGenerator<Buffer, number> {
    const before = this.#decompressor.bytesWritten;
    let written = false;
    this.#decompressor.write(chunk, () => {
      written = true;
      this.#wake();
    });
    yield* this.#output(() => written);
    return this.#decompressor.bytesWritten - before;
  }

  /** Gives what is left; an error if the stream is not complete. */
  async *end(): AsyncGenerator<Buffer, void> {
    this.#decompressor.end();
    yield* this.#output(() => false);
  }

  close(): void {
    this.#decompressor.destroy();
  }

  /** What comes out until there is no more and the work is done, or the stream has ended. */
  async *#output(isDone: () => boolean): AsyncGenerator<Buffer, void> {
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const piece: Buffer | null = this.#decompressor.read();
      if (piece !== null) yield piece;
      else if (this.#error !== undefined) throw this.#error;
      else if (this.#ended || isDone()) return;
      else await woken;
    }
  }
}
