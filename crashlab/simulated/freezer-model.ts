import { exploreModel } from '../../test/freezer/model-exploration.ts';
import { type Round, Violation, type Work } from '../experiment.ts';

/** Stores of one round, each with up to 60 operations. */
const storesPerRound = 80;

/** Random operations, crashes and reopenings beside a plain list. */
export async function modelCheck({ seed, path, signal }: Round): Promise<Work> {
  const { failure, stores, crashes, operations } = await exploreModel({
    ...{ seed, signal, stores: storesPerRound },
    ...(path !== undefined && { path }),
  });
  if (failure !== undefined) throw new Violation(failure.message, { path: failure.path, cause: failure.cause });
  return { cases: stores, crashPoints: crashes, diskStates: crashes, operations };
}
