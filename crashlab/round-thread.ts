/** The thread of a RoundThread: runs the rounds that it is told to, one at a time, and says how each ended. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Experiment } from './experiment.ts';
import { endOf, type RoundEnd } from './round-end.ts';
import type { ThreadOrder } from './round-place.ts';

const port = parentPort;
if (port === null) throw new Error('this is the program of a thread');
let current = new AbortController();

port.on('message', (order: ThreadOrder) => {
  if (order.kind === 'stop') current.abort();
  else void runRound(order).then((end) => port.postMessage(end));
});

async function runRound({ name, round }: Extract<ThreadOrder, { readonly kind: 'run' }>): Promise<RoundEnd> {
  current = new AbortController();
  const { catalogue }: { readonly catalogue: readonly Experiment[] } = await import(String(workerData));
  const experiment = catalogue.find((candidate) => candidate.name === name);
  if (experiment === undefined) return { kind: 'violation', message: `the thread knows no experiment '${name}'` };
  return endOf(experiment, { ...round, signal: current.signal });
}
