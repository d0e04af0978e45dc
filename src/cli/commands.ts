import { archiveJobsCommand } from './archive-jobs-command.ts';
import { backupCommand } from './backup-command.ts';
import type { Command } from './command.ts';
import { exportCommand } from './export-command.ts';
import { getCommand } from './get-command.ts';
import { importCommand } from './import-command.ts';
import { inspectCommand } from './inspect-command.ts';
import { jobsCommand } from './jobs-command.ts';
import { putCommand } from './put-command.ts';
import { rebuildCommand } from './rebuild-command.ts';
import { restoreCommand } from './restore-command.ts';
import { salvageCommand } from './salvage-command.ts';
import { topologyCommand } from './topology-command.ts';
import { verifyCommand } from './verify-command.ts';
import { workerCommand } from './worker-command.ts';

/** Every command, in the order in which one meets them. */
export const commands: readonly Command[] = [
  workerCommand,
  putCommand,
  getCommand,
  importCommand,
  exportCommand,
  archiveJobsCommand,
  jobsCommand,
  topologyCommand,
  verifyCommand,
  inspectCommand,
  backupCommand,
  restoreCommand,
  rebuildCommand,
  salvageCommand,
];
