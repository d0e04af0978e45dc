/**
 * Data of whole key index pages that were read and found good. When it is full, a page that was not used since the hand
 * of the clock last passed makes room.
 *
 * Only pages that never change again are put here: full ones, and the last page of a sealed section. Memory is taken as
 * pages come, up to the limit, and never moved: what is found is good until the next `put`. To find a page allocates
 * nothing and touches little memory, as a lookup does it for each record of a chain.
 */
import { assert, present } from '../base/assert.ts';

/** Frames whose memory is taken together. */
const chunkFrames = 64;
/** Multiplicative hashes: neighbours land far from each other. */
const pageMultiplier = 0x9e37_79b1;
const sectionMultiplier = 0x85eb_ca6b;

/** Sections and pages from here on are not kept: their numbers are 32 bits wide. */
export const cachedNumberMax = 0xffff_ffff;

export class PageCache {
  readonly #pageSize: number;
  readonly #framesMax: number;
  readonly #chunks: Buffer[] = [];
  #count = 0;
  /** By frame: section and number of its page, the bytes of the page, and whether it was used. */
  #sections = new Uint32Array(chunkFrames);
  #pages = new Uint32Array(chunkFrames);
  #sizes = new Uint16Array(chunkFrames);
  #used = new Uint8Array(chunkFrames);
  /** Open-addressed, at least twice as many cells as frames: the frame of a page plus one, or 0. */
  #cells = new Uint32Array(chunkFrames * 2);
  #hand = 0;

  constructor(pageSize: number, pagesMax: number) {
    this.#pageSize = pageSize;
    this.#framesMax = pagesMax;
  }

  /** Pages that can be put before one has to make room. */
  get free(): number {
    return this.#framesMax - this.#count;
  }

  has(section: number, page: number): boolean {
    return this.#cells[this.#cellOf(section, page)] !== 0;
  }

  /** The frame that holds the page, which counts as used from now on; -1 when none does. */
  find(section: number, page: number): number {
    const frame = (this.#cells[this.#cellOf(section, page)] ?? 0) - 1;
    if (frame >= 0) this.#used[frame] = 1;
    return frame;
  }

  /** Bytes of the page in a frame. */
  sizeOf(frame: number): number {
    return this.#sizes[frame] ?? 0;
  }

  /** What the page of a frame lies in, from `startOf` on. */
  memoryOf(frame: number): Buffer {
    return present(this.#chunks[Math.floor(frame / chunkFrames)], 'a chunk');
  }

  startOf(frame: number): number {
    return (frame % chunkFrames) * this.#pageSize;
  }

  /** Keeps a copy of the page's data, in the frame that it gives. */
  put(section: number, page: number, data: Buffer): number {
    assert(section <= cachedNumberMax && page <= cachedNumberMax, 'the number of a page that is kept has 32 bits');
    const found = this.find(section, page);
    const frame = found >= 0 ? found : this.#take();
    if (found < 0) this.#cells[this.#cellOf(section, page)] = frame + 1;
    this.#sections[frame] = section;
    this.#pages[frame] = page;
    this.#sizes[frame] = data.length;
    this.#used[frame] = 1;
    data.copy(this.memoryOf(frame), this.startOf(frame));
    return frame;
  }

  /** A frame without a page. */
  #take(): number {
    if (this.#count < this.#framesMax) {
      if (this.#count % chunkFrames === 0) this.#addChunk();
      return this.#count++;
    }
    while (this.#used[this.#hand] === 1) {
      this.#used[this.#hand] = 0;
      this.#advance();
    }
    const frame = this.#hand;
    this.#advance();
    this.#forget(frame);
    return frame;
  }

  #addChunk(): void {
    const frames = Math.min(chunkFrames, this.#framesMax - this.#count);
    this.#chunks.push(Buffer.allocUnsafeSlow(frames * this.#pageSize));
    if (this.#count === this.#pages.length) this.#grow(this.#count * 2);
  }

  /** Makes room for the names of so many frames. */
  #grow(frames: number): void {
    const { length } = this.#pages;
    const wider = <T extends Uint8Array | Uint16Array | Uint32Array>(into: T, from: T): T => {
      into.set(from);
      return into;
    };
    this.#sections = wider(new Uint32Array(frames), this.#sections);
    this.#pages = wider(new Uint32Array(frames), this.#pages);
    this.#sizes = wider(new Uint16Array(frames), this.#sizes);
    this.#used = wider(new Uint8Array(frames), this.#used);
    this.#cells = new Uint32Array(frames * 2);
    for (let frame = 0; frame < length; frame++) this.#cells[this.#cellOfFrame(frame)] = frame + 1;
  }

  #advance(): void {
    this.#hand = (this.#hand + 1) % this.#framesMax;
  }

  /** The cell that holds the page's frame, or the free one where it would go. */
  #cellOf(section: number, page: number): number {
    const mask = this.#cells.length - 1;
    let cell = homeOf(section, page, mask);
    for (let frame = this.#cells[cell] ?? 0; frame !== 0; frame = this.#cells[cell] ?? 0) {
      if (this.#pages[frame - 1] === page && this.#sections[frame - 1] === section) return cell;
      cell = (cell + 1) & mask;
    }
    return cell;
  }

  #cellOfFrame(frame: number): number {
    return this.#cellOf(this.#sections[frame] ?? 0, this.#pages[frame] ?? 0);
  }

  /** Takes a frame's page out of the cells, and moves up those behind it that would not be found any more. */
  #forget(frame: number): void {
    const mask = this.#cells.length - 1;
    let gap = this.#cellOfFrame(frame);
    assert(this.#cells[gap] === frame + 1, 'a page is where its number says');
    this.#cells[gap] = 0;
    for (let cell = (gap + 1) & mask; this.#cells[cell] !== 0; cell = (cell + 1) & mask) {
      const moved = this.#cells[cell] ?? 0;
      const home = homeOf(this.#sections[moved - 1] ?? 0, this.#pages[moved - 1] ?? 0, mask);
      if (((cell - home) & mask) < ((cell - gap) & mask)) continue;
      this.#cells[gap] = moved;
      this.#cells[cell] = 0;
      gap = cell;
    }
  }
}

/** The cell where a page is looked for first. */
function homeOf(section: number, page: number, mask: number): number {
  return ((Math.imul(page, pageMultiplier) ^ Math.imul(section, sectionMultiplier)) >>> 7) & mask;
}
