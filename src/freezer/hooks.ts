import type { Logger } from '../base/logger.ts';
import type { JournalEnd } from '../journal/journal-end.ts';

/** Where a freezer tells its owner of what happens. */
export interface FreezerHooks {
  /**
   * Awaited at a rollover, when the section is durable to its end, before the first byte of the next one. After a
   * crash in between it is called again with the same end.
   */
  readonly sealed?: (end: JournalEnd) => Promise<void>;
  readonly logger?: Logger;
  /** Progress of the long parts of opening: scans and derivations. */
  readonly progress?: (done: number, total: number, phase: string) => void;
}
