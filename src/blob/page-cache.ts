/**
 * Data of whole key index pages that were read and found good. When it is full, a page that was not used since the hand
 * of the clock last passed makes room.
 *
 * Only pages that never change again are put here: full ones, and the last page of a sealed section. Memory is taken as
 * pages come, up to the limit, and never moved: a page is a view that is good until the next `put`.
 */
import { present } from '../base/assert.ts';

/** Frames whose memory is taken together. */
const chunkFrames = 64;

export class PageCache {
  readonly #pageSize: number;
  readonly #framesMax: number;
  readonly #chunks: Buffer[] = [];
  readonly #frameOf = new Map<number, number>();
  readonly #keys: number[] = [];
  readonly #sizes: number[] = [];
  readonly #used: boolean[] = [];
  #hand = 0;

  constructor(pageSize: number, pagesMax: number) {
    this.#pageSize = pageSize;
    this.#framesMax = pagesMax;
  }

  get(key: number): Buffer | undefined {
    const frame = this.#frameOf.get(key);
    if (frame === undefined) return undefined;
    this.#used[frame] = true;
    return this.#view(frame, present(this.#sizes[frame], 'the size of a page'));
  }

  /** Keeps a copy of the page. */
  put(key: number, page: Buffer): void {
    const frame = this.#frameOf.get(key) ?? this.#free();
    this.#frameOf.set(key, frame);
    this.#keys[frame] = key;
    this.#sizes[frame] = page.length;
    this.#used[frame] = true;
    page.copy(this.#view(frame, page.length));
  }

  /** A frame without a page. */
  #free(): number {
    if (this.#keys.length < this.#framesMax) {
      if (this.#keys.length % chunkFrames === 0) this.#addChunk();
      return this.#keys.push(0) - 1;
    }
    while (this.#used[this.#hand] === true) {
      this.#used[this.#hand] = false;
      this.#advance();
    }
    const frame = this.#hand;
    this.#advance();
    this.#frameOf.delete(present(this.#keys[frame], 'the key of a page'));
    return frame;
  }

  #addChunk(): void {
    const frames = Math.min(chunkFrames, this.#framesMax - this.#keys.length);
    this.#chunks.push(Buffer.allocUnsafeSlow(frames * this.#pageSize));
  }

  #advance(): void {
    this.#hand = (this.#hand + 1) % this.#framesMax;
  }

  #view(frame: number, size: number): Buffer {
    const start = (frame % chunkFrames) * this.#pageSize;
    return present(this.#chunks[Math.floor(frame / chunkFrames)], 'a chunk').subarray(start, start + size);
  }
}
