/**
 * Memory that frames are read into, cut from larger pieces: a view for each value, and none for the room around it. A piece
 * lives as long as one of its values does, as in the pool behind `Buffer.allocUnsafe`.
 */
import type { Reserved } from '../blob/paged-tail.ts';

const pieceBytes = 64 * 1024;
/** Larger frames get memory of their own. */
const frameBytesMax = pieceBytes / 4;

export class FrameMemory {
  #piece: Buffer | undefined;
  #used = 0;

  /** Room for a frame, to be filled at once and then taken; what is not taken is given again. */
  reserve(size: number): Reserved {
    if (size > frameBytesMax) return { into: Buffer.allocUnsafeSlow(size), at: 0 };
    if (this.#piece === undefined || this.#used + size > this.#piece.length) {
      this.#piece = Buffer.allocUnsafeSlow(pieceBytes);
      this.#used = 0;
    }
    return { into: this.#piece, at: this.#used };
  }

  /** The frame that was reserved last stays. */
  take(size: number): void {
    if (size <= frameBytesMax) this.#used += size;
  }
}
