import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { messageOf } from '../../src/base/errors.ts';
import { type Experiment, Violation } from '../experiment.ts';
import { Site, type SiteOptions } from './site.ts';

export interface LiveExperiment extends Pick<Experiment, 'name' | 'family' | 'rows' | 'promise' | 'leastWork'> {
  readonly unavailable?: () => Promise<string | undefined>;
  readonly site?: (seed: number) => SiteOptions;
  /** Brings the faults about, and throws when the promise is broken. Gives the number of faults. */
  readonly act: (site: Site) => Promise<number>;
}

/** An experiment on an archive that runs: processes and a Redis of its own. Real time is in it, and no seed repeats that. */
export function liveExperiment({ act, unavailable, site: options, ...description }: LiveExperiment): Experiment {
  return {
    ...description,
    unavailable: async () => (await missingRedis()) ?? unavailable?.(),
    run: async (round) => {
      await using site = await Site.open(round, options?.(round.seed));
      try {
        const cases = await act(site);
        return { cases, crashPoints: 0, diskStates: 0, operations: site.operations };
      } catch (error) {
        // Broken off from outside: what fails then says nothing.
        if (round.signal.aborted && !(error instanceof Violation)) throw error;
        throw new Violation(`${messageOf(error)}${await site.situation()}`, { cause: error });
      }
    },
  };
}

/** Why there is no Redis to do things to. */
async function missingRedis(): Promise<string | undefined> {
  const programs = ['redis-server', 'valkey-server'];
  for (const program of programs) if (await isOnPath(program)) return undefined;
  return `none of ${programs.join(', ')} is on PATH`;
}

export async function isOnPath(program: string): Promise<boolean> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const found = await access(join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
