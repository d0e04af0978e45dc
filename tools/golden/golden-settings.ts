import type { FreezerSettings } from '../../src/freezer/settings.ts';
import { bytesCodec } from '../../src/freezer/value-codec.ts';
import { GoldenError } from './golden-error.ts';

/** Settings of a golden scenario or store, under the names that the files use. */
export interface GoldenSettings {
  /** Data bytes of a key page. */
  readonly page: number;
  /** Buckets of a new table. */
  readonly init: number;
  readonly freq: number;
  readonly chunk: number;
  readonly target: number;
  readonly keylen: number;
  /** Bytes of both write buffers. */
  readonly wbuf: number;
  /** Level of zstd; 0 is none. */
  readonly comp: number;
}

export const goldenPartitions = ['key', 'table', 'value'];

const pagesCached = 10;
const scanBufferSize = 1024;
const changesMax = 1_000_000;

/** The settings from named texts; all eight must be there, whole numbers, and no others. */
export function parseSettings(fields: Readonly<Record<string, unknown>>): GoldenSettings {
  const rest = new Map(Object.entries(fields));
  const take = (name: string): number => {
    const text = String(rest.get(name) ?? '');
    rest.delete(name);
    if (!/^\d{1,15}$/.test(text)) throw new GoldenError(`setting ${name} is no whole number: "${text}"`);
    return Number(text);
  };
  const settings = {
    page: take('page'),
    init: take('init'),
    freq: take('freq'),
    chunk: take('chunk'),
    target: take('target'),
    keylen: take('keylen'),
    wbuf: take('wbuf'),
    comp: take('comp'),
  };
  if (rest.size > 0) throw new GoldenError(`unknown setting ${[...rest.keys()].join(', ')}`);
  return settings;
}

/** The freezer's settings for partitions `key`, `value` and `table`. */
export function freezerSettings(golden: GoldenSettings): FreezerSettings<Uint8Array> {
  return {
    keyPartition: 'key',
    valuePartition: 'value',
    tablePartition: 'table',
    keySize: golden.keylen,
    keyPageCache: { pageSize: golden.page, pages: pagesCached },
    valueCompression: golden.comp === 0 ? undefined : golden.comp,
    valueCodec: bytesCodec,
    keyWriteBuffer: golden.wbuf,
    valueWriteBuffer: golden.wbuf,
    valueTargetSize: golden.target,
    tableInitialSize: golden.init,
    tableResizeFrequency: golden.freq,
    tableResizeChunkSize: golden.chunk,
    tableReplayBuffer: scanBufferSize,
    tableChangesMax: changesMax,
  };
}
