/** Experiments that do nothing but what a test needs; also the catalogue of a thread. */
import { type Experiment, type Round, Violation, type Work } from '../../crashlab/experiment.ts';
import { noWork } from '../../crashlab/work.ts';

export const oneCase: Work = { ...noWork, cases: 1 };

export function experiment(name: string, changes: Partial<Experiment> = {}): Experiment {
  const run = async (): Promise<Work> => oneCase;
  return { name, family: 'process', rows: [1], promise: 'it holds', leastWork: { cases: 1 }, run, ...changes };
}

/** Ends when it is told to, with a case. */
export function untilStopped({ signal }: Round): Promise<Work> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(oneCase);
    signal.addEventListener('abort', () => resolve(oneCase), { once: true });
  });
}

function inThread(name: string, run: Experiment['run']): Experiment {
  return experiment(name, { family: 'simulated', run });
}

export const catalogue: readonly Experiment[] = [
  inThread('counts', async ({ seed }) => ({ ...noWork, cases: seed })),
  inThread('breaks', async ({ seed, path }) => {
    throw new Violation(`broken with seed ${seed}`, { path: path ?? '3/all' });
  }),
  inThread('stops', untilStopped),
  inThread('hangs', () => {
    for (;;);
  }),
  inThread('dies', () => new Promise(() => process.exit(7))),
  inThread('leaves', async () => {
    setImmediate(() => {
      throw new RangeError('left behind');
    });
    return oneCase;
  }),
];
