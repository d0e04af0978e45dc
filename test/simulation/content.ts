import { assert } from '../../src/base/assert.ts';

const chunkSize = 4096;

/**
 * Bytes of a simulated file, in chunks that copies share until one of them writes.
 *
 * A chunk that is missing reads as zeros; so do all bytes at and beyond `size`, whatever was there before.
 */
export class Content {
  #chunks: (Buffer | undefined)[] = [];
  /** Which chunks this copy alone refers to and may write in place. */
  #owned: boolean[] = [];
  #size = 0;

  static of(bytes: Uint8Array): Content {
    const content = new Content();
    content.write(0, bytes);
    return content;
  }

  get size(): number {
    return this.#size;
  }

  /** A copy that changes independently of this one. */
  copy(): Content {
    const copied = new Content();
    copied.#chunks = [...this.#chunks];
    copied.#size = this.#size;
    this.#owned = [];
    return copied;
  }

  /** Copies into `into` what there is from the offset on; returns how many bytes that were. */
  read(offset: number, into: Uint8Array): number {
    const size = Math.max(0, Math.min(into.length, this.#size - offset));
    for (let done = 0; done < size; ) {
      const at = offset + done;
      const inChunk = at % chunkSize;
      const count = Math.min(size - done, chunkSize - inChunk);
      const chunk = this.#chunks[Math.floor(at / chunkSize)];
      if (chunk === undefined) into.fill(0, done, done + count);
      else into.set(chunk.subarray(inChunk, inChunk + count), done);
      done += count;
    }
    return size;
  }

  write(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const inChunk = at % chunkSize;
      const count = Math.min(bytes.length - done, chunkSize - inChunk);
      this.#chunkToWrite(Math.floor(at / chunkSize)).set(bytes.subarray(done, done + count), inChunk);
      done += count;
    }
    if (bytes.length > 0) this.#size = Math.max(this.#size, offset + bytes.length);
  }

  /** Fills with zeros what the content has of the range; the size stays. */
  clear(offset: number, end: number): void {
    const last = Math.min(end, this.#size);
    for (let at = offset; at < last; ) {
      const inChunk = at % chunkSize;
      const count = Math.min(last - at, chunkSize - inChunk);
      const index = Math.floor(at / chunkSize);
      if (this.#chunks[index] !== undefined) this.#chunkToWrite(index).fill(0, inChunk, inChunk + count);
      at += count;
    }
  }

  /** Cuts, or extends with zeros. */
  resize(size: number): void {
    assert(Number.isSafeInteger(size) && size >= 0, 'a size is a whole number of bytes');
    if (size < this.#size) {
      this.clear(size, Math.min(this.#size, Math.ceil(size / chunkSize) * chunkSize));
      this.#chunks.length = Math.min(this.#chunks.length, Math.ceil(size / chunkSize));
    }
    this.#size = size;
  }

  toBuffer(): Buffer {
    const bytes = Buffer.allocUnsafe(this.#size);
    this.read(0, bytes);
    return bytes;
  }

  #chunkToWrite(index: number): Buffer {
    const chunk = this.#chunks[index];
    if (chunk !== undefined && this.#owned[index] === true) return chunk;
    const fresh = chunk === undefined ? Buffer.alloc(chunkSize) : Buffer.from(chunk);
    this.#chunks[index] = fresh;
    this.#owned[index] = true;
    return fresh;
  }
}
