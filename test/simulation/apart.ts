/**
 * Runs explorations in a thread of their own: the test runner watches every promise of its process, which makes
 * thousands of small asynchronous steps ten times slower.
 */
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { messageOf } from '../../src/base/errors.ts';

type Exploration<Result> = () => Promise<Result>;

/** In the thread's own module: offers explorations by name and runs the one that was asked for. */
export async function offerExplorations(explorations: Readonly<Record<string, Exploration<unknown>>>): Promise<void> {
  if (parentPort === null) throw new Error('explorations run in a thread of their own');
  const exploration = explorations[String(workerData)];
  try {
    if (exploration === undefined) throw new Error(`no exploration ${String(workerData)}`);
    parentPort.postMessage({ result: await exploration() });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? `\n${error.cause.stack ?? ''}` : '';
    parentPort.postMessage({ failure: `${messageOf(error)}${cause}` });
  }
}

/** Runs one of the explorations that a module offers; its failure is thrown here. */
export function exploreApart<Result>(module: URL, name: string): Promise<Result> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(module, { workerData: name });
    worker.once('error', reject);
    worker.once('message', (message: { readonly result: Result } | { readonly failure: string }) => {
      if ('failure' in message) reject(new Error(`${name}: ${message.failure}`));
      else resolve(message.result);
    });
  });
}
