/** All mutants, from the bottom of the engine to the wire. */
import { backupMutants } from './backup-mutants.ts';
import { durabilityMutants } from './durability-mutants.ts';
import { integrityMutants } from './integrity-mutants.ts';
import { jobsMutants } from './jobs-mutants.ts';
import type { Mutant } from './mutant.ts';
import { queueMutants } from './queue-mutants.ts';
import { recoveryMutants } from './recovery-mutants.ts';
import { shardMutants } from './shard-mutants.ts';

export const catalogue: readonly Mutant[] = [
  ...durabilityMutants,
  ...integrityMutants,
  ...recoveryMutants,
  ...shardMutants,
  ...backupMutants,
  ...queueMutants,
  ...jobsMutants,
];
