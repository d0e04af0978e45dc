/**
 * Archives a record, looks it up, and compares: `node round-trip.mjs <key>`. Exit status 0 when what comes back is what was
 * put. `helm test` runs it, and whoever wants to see that an installation works.
 */
import { spawnSync } from 'node:child_process';
import { argv, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('./dist/cli/main.js', import.meta.url));
const [, , key = 'round-trip'] = argv;
const value = `round trip at ${new Date().toISOString()}`;

/**
 * Runs one command of Permafrost to its end; its notes go to our own.
 *
 * @param {readonly string[]} args
 * @returns {string} what it printed
 */
function permafrost(...args) {
  const { status, stdout } = spawnSync(execPath, [main, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`permafrost ${args[0]} ended with ${status}`);
  return stdout;
}

try {
  console.log(permafrost('put', key, value).trim());
  const found = permafrost('get', key);
  if (found !== value) throw new Error(`put ${JSON.stringify(value)}, got ${JSON.stringify(found)}`);
  console.log(`what was put came back: ${found}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
