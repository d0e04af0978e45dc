/** How far the journals reach: the end of a commit, of a checkpoint or of a sealed section. */
export interface JournalEnd {
  readonly section: number;
  /** Payload bytes of the key index in that section. */
  readonly keyBytes: number;
  /** Bytes of the value journal in that section, header not counted. */
  readonly valueBytes: number;
}

/** Negative when `left` lies before `right`, 0 when they are equal, positive behind it. */
export function compareEnds(left: JournalEnd, right: JournalEnd): number {
  return left.section - right.section || left.keyBytes - right.keyBytes || left.valueBytes - right.valueBytes;
}

export const journalStart: JournalEnd = { section: 0, keyBytes: 0, valueBytes: 0 };
