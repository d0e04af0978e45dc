/**
 * One run of a killing test in a process group of its own, which is ended with everything in it when the run is over.
 *
 * A file that fails outside of its tests has not been loaded: such a run proves nothing and is told apart.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { env, execPath, kill } from 'node:process';
import { text } from 'node:stream/consumers';
import type { Killer } from './mutant.ts';

export type TestOutcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly test: string }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'not-run'; readonly output: string };

export interface TestPlace {
  readonly root: string;
  readonly temporary: string;
}

export interface TestLimits {
  readonly limitMs: number;
  /** Ends the run at once; it is then rejected with the signal's reason. */
  readonly signal: AbortSignal;
}

/** Runs the tests of the killer in a tree. */
export async function runTest(place: TestPlace, killer: Killer, { limitMs, signal }: TestLimits): Promise<TestOutcome> {
  signal.throwIfAborted();
  const child = start(place, killer);
  const expired = AbortSignal.timeout(limitMs);
  const ended = AbortSignal.any([signal, expired]);
  const end = (): void => endGroup(child);
  ended.addEventListener('abort', end, { once: true });
  try {
    const [output] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    signal.throwIfAborted();
    return expired.aborted ? { kind: 'timeout' } : outcomeIn(output, killer);
  } finally {
    ended.removeEventListener('abort', end);
    end();
  }
}

function start({ root, temporary }: TestPlace, { file, test }: Killer) {
  const pattern = test.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  const args = ['--disable-warning=ExperimentalWarning', '--test', '--test-reporter=tap'];
  // Inside a test of this program itself the variable would make the child report to that test.
  const { NODE_TEST_CONTEXT: _, ...inherited } = env;
  return spawn(execPath, [...args, `--test-name-pattern=${pattern}`, file], {
    cwd: root,
    env: { ...inherited, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
}

/** Ends what is left of the child and of all that it started. */
function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    kill(-pid, 'SIGKILL');
  } catch {
    // Nothing is left of it.
  }
}

const resultLine = /^ *(not ok|ok) \d+ - (.*)$/gm;

/** Reads TAP. A line for the file itself says that none of its tests ran, or that it failed outside of them; a test that was skipped did not run. */
function outcomeIn(output: string, { file }: Killer): TestOutcome {
  const results = [...output.matchAll(resultLine)].map(([, verdict, name = '']) => ({ verdict, name }));
  const tests = results.filter(({ name }) => name !== file && !/ # (?:SKIP|TODO)/.test(name));
  const failed = tests.find(({ verdict }) => verdict === 'not ok');
  if (failed !== undefined) return { kind: 'failed', test: failed.name };
  return tests.length === 0 || tests.length < results.length ? { kind: 'not-run', output } : { kind: 'passed' };
}
