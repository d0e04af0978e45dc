import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { execPath, version } from 'node:process';
import { root } from './dependencies.mjs';

const majorMin = 24;

/**
 * The path of a Node that can run the sources: the one that runs this, else the one that the dependencies bring along.
 * Each candidate is asked for its version: a path alone proves nothing after an installation that went wrong half way.
 *
 * @returns {string}
 */
export function findNode() {
  const brought = join(root, 'node_modules', '.bin', 'node');
  const candidates = [execPath, brought];
  const answers = candidates.map((candidate) => ({ candidate, version: versionOf(candidate) }));
  const found = answers.find((answer) => isNewEnough(answer.version));
  if (found !== undefined) return found.candidate;
  throw new Error(
    `Permafrost needs Node ${majorMin} or newer. This is ${version}, and the one the dependencies bring along ` +
      `(${brought}) answers: ${answers.at(-1)?.version ?? 'nothing'}. ` +
      `Run 'npm rebuild node' to fetch it again, or install Node ${majorMin} or newer.`,
  );
}

/**
 * @param {string} program
 * @returns {string | undefined}
 */
function versionOf(program) {
  const answer = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return answer.status === 0 ? answer.stdout.trim() : undefined;
}

/** @param {string | undefined} answered as in `v24.1.0` */
export function isNewEnough(answered) {
  return Number(/^v(\d+)\./.exec(answered ?? '')?.[1] ?? 0) >= majorMin;
}
