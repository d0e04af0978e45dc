import type { Logged } from '../simulation/gate.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { type WorkloadPlan, workloadOf } from './crash-model.ts';

/**
 * Throws when a byte of the table was written while a journal had bytes that no fsync covered. Gives back how many
 * writes of the table there were.
 */
export async function checkWriteOrder(plan: WorkloadPlan): Promise<number> {
  const disk = new SimulatedDisk();
  await workloadOf(plan)(disk, []);
  const isTableWrite = ({ kind, path }: Logged): boolean => kind === 'write' && path.startsWith('table/');
  const tableWrites = disk.log.filter(isTableWrite);
  for (const write of tableWrites) {
    const exposed = disk.log.find(
      (earlier) => isSectionWrite(earlier) && endOf(earlier) < write.issued && !isCovered(disk, earlier, write),
    );
    if (exposed !== undefined)
      throw new Error(`table written at ${write.step} before ${exposed.path} of ${exposed.step} is durable`);
  }
  return tableWrites.length;
}

function endOf(operation: Logged): number {
  return operation.ended ?? Number.POSITIVE_INFINITY;
}

function isSectionWrite({ kind, path }: Logged): boolean {
  return kind === 'write' && isSection(path);
}

function isCovered(disk: SimulatedDisk, write: Logged, before: Logged): boolean {
  return disk.log.some(
    ({ kind, path, issued, ended }) =>
      kind === 'sync' &&
      path === write.path &&
      issued > endOf(write) &&
      (ended ?? Number.POSITIVE_INFINITY) < before.issued,
  );
}

function isSection(path: string): boolean {
  return path.startsWith('key/') || path.startsWith('value/');
}
