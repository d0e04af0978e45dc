import { CrashPointFailure, type Explored } from '../../test/simulation/crash-points.ts';
import { Violation, type Work } from '../experiment.ts';

/** What a check judged while it ran; it counts up by itself. */
export interface Judged {
  /** Records and lookups that were compared with what they had to be. */
  operations: number;
}

/** The work of an exploration of crash points; its failure becomes a Violation that names the state. */
export async function crashWork(exploration: Promise<Explored>, judged: Judged): Promise<Work> {
  const { points, states } = await violating(exploration);
  return { cases: points, crashPoints: points, diskStates: states, operations: judged.operations };
}

/** The work of an exploration of failed operations. */
export async function faultWork(exploration: Promise<Explored>, judged: Judged): Promise<Work> {
  const { points, states } = await violating(exploration);
  return { cases: points, crashPoints: 0, diskStates: states, operations: judged.operations };
}

async function violating(exploration: Promise<Explored>): Promise<Explored> {
  try {
    return await exploration;
  } catch (error) {
    if (!(error instanceof CrashPointFailure)) throw error;
    throw new Violation(error.message, { path: error.path, cause: error.cause });
  }
}
