/** Of the first slice, before anything is known about sizes. */
const countFirst = 16;
const countMax = 256;
const bytesAim = 4_194_304;

/**
 * How many questions make a slice of a lookup: as many as are expected to bring a few megabytes, after the mean size of
 * what slices brought before. Of other lookups the largest counts, and is forgotten by halves: lookups of small values
 * need one slice each, and large values that were met lately are reckoned with.
 */
export class SliceSizes {
  #expectedBytes = bytesAim / countFirst;

  /** For the next slice of a lookup whose last one brought so many bytes a question; `undefined` if it is the first. */
  countFor(meanBytes: number | undefined): number {
    return Math.min(Math.max(Math.floor(bytesAim / (meanBytes ?? this.#expectedBytes)), 1), countMax);
  }

  /** A slice brought so many bytes a question. */
  note(meanBytes: number): void {
    this.#expectedBytes = Math.max(meanBytes, this.#expectedBytes / 2);
  }
}
