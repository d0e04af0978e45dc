import type { Loss } from '../freezer/salvage.ts';
import { sectionFiles } from './engine-settings.ts';

/** What was lost, with its place. */
export function lossText({ file, offset, section, position, reason }: Loss): string {
  const record = position === undefined ? '' : ` (record ${position} of ${sectionFiles(section).keys})`;
  return `${file} at ${offset}${record}: ${reason}`;
}
