import type { FreezerSettings } from './settings.ts';

/** File name of the table: the word, in hex. */
export const tableName = Buffer.from('table', 'ascii').toString('hex');

/** Path of the table below the disk's root. */
export function tableFile<V>(settings: Pick<FreezerSettings<V>, 'tablePartition'>): string {
  return `${settings.tablePartition}/${tableName}`;
}
