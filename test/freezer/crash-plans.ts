import type { FreezerSettings } from '../../src/freezer/settings.ts';
import type { Random } from '../simulation/random.ts';
import { smallSettings } from './keeper.ts';

/** Every sync resizes, for a while. */
export const resizing: FreezerSettings<Uint8Array> = {
  ...smallSettings,
  tableInitialSize: 1,
  tableResizeFrequency: 1,
  tableResizeChunkSize: 1,
};

/** Many commits share a page, whose checksum record lies across the border of a sector. */
export const onePage: FreezerSettings<Uint8Array> = {
  ...smallSettings,
  keyPageCache: { pageSize: 500, pages: 4 },
  valueTargetSize: 100_000,
};

/** Pages as small as can be, a section for every few records. */
export const manySections: FreezerSettings<Uint8Array> = {
  ...smallSettings,
  keyPageCache: { pageSize: 33, pages: 2 },
  keyWriteBuffer: 1,
  valueWriteBuffer: 1,
  valueTargetSize: 40,
};

/** Buckets of which each keeps its place: no resize, one section. */
export const steadyTable: FreezerSettings<Uint8Array> = {
  ...smallSettings,
  tableInitialSize: 64,
  tableResizeFrequency: 254,
  valueTargetSize: 100_000,
};

/** Settings whose sizes are drawn: pages, buffers, sections and tables that a few records fill. */
export function drawnSettings(random: Random): FreezerSettings<Uint8Array> {
  const base = random.pick([smallSettings, resizing, onePage, manySections]);
  return {
    ...base,
    keyPageCache: { pageSize: random.pick([33, 64, 128, 500]), pages: random.between(1, 6) },
    keyWriteBuffer: random.pick([1, 128, 1024]),
    valueWriteBuffer: random.pick([1, 256, 1024]),
    tableReplayBuffer: random.pick([1, 256]),
    tableResizeFrequency: random.pick([base.tableResizeFrequency, 1, 2, 254]),
  };
}
