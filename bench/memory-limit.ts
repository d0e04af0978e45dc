/**
 * Memory for a process and the page cache it fills, limited by a control group of the system (Linux, version 1 or 2,
 * which takes root): so that data is larger than memory on a machine of any size.
 */
import fs from 'node:fs/promises';
import { join } from 'node:path';
import { mebibyte } from './numbers.ts';

interface Controller {
  readonly root: string;
  readonly limitFile: string;
  /** Whether the root has it for groups below it, as version 2 wants to be told first. */
  readonly enable: string | undefined;
}

const controllers: readonly Controller[] = [
  { root: '/sys/fs/cgroup/memory', limitFile: 'memory.limit_in_bytes', enable: undefined },
  { root: '/sys/fs/cgroup', limitFile: 'memory.max', enable: 'cgroup.subtree_control' },
];

/**
 * Limits this process from now on; what it holds already does not count. Gives what ends the limit, or undefined where
 * there is no control group or no right to one.
 */
export async function limitMemory(mebibytes: number): Promise<(() => Promise<void>) | undefined> {
  for (const controller of controllers) {
    const group = join(controller.root, `permafrost-bench-${process.pid}`);
    try {
      if (controller.enable !== undefined) await fs.writeFile(join(controller.root, controller.enable), '+memory');
      await fs.mkdir(group);
    } catch {
      continue;
    }
    const leave = async (): Promise<void> => {
      await fs.writeFile(join(controller.root, 'cgroup.procs'), String(process.pid));
      await fs.rmdir(group);
    };
    try {
      await fs.writeFile(join(group, controller.limitFile), String(mebibytes * mebibyte));
      await fs.writeFile(join(group, 'cgroup.procs'), String(process.pid));
      return leave;
    } catch {
      await fs.rmdir(group).catch(() => {});
    }
  }
  return undefined;
}
