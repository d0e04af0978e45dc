/**
 * Waits until each of the given addresses answers 200: `node wait-ready.mjs <seconds> <url>…`. Exit status 0 when all do, 1
 * with those that do not when the time is over. The job that gives puts to new shards waits for their pods with it.
 */
import { argv } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

const [, , seconds = '', ...urls] = argv;
const requestTimeoutMs = 5000;
const pauseMs = 1000;

/**
 * Why the address is not ready, in a few words; `undefined` when it is.
 *
 * @param {string} url
 * @returns {Promise<string | undefined>}
 */
async function reasonAgainst(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(requestTimeoutMs) });
    await response.arrayBuffer();
    return response.ok ? undefined : `answers ${response.status}`;
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return cause instanceof Error ? cause.message : String(cause);
  }
}

/** Waits in their order: the time is for all of them together. */
async function waitForAll() {
  const end = Date.now() + Number(seconds) * 1000;
  for (const url of urls) {
    for (;;) {
      const reason = await reasonAgainst(url);
      if (reason === undefined) break;
      if (Date.now() + pauseMs > end) throw new Error(`not ready within ${seconds} s: ${url} ${reason}`);
      await pause(pauseMs);
    }
    console.log(`${url} is ready`);
  }
}

if (!(Number(seconds) >= 0) || urls.length === 0) {
  console.error('usage: node wait-ready.mjs <seconds> <url>…');
  process.exitCode = 2;
} else {
  await waitForAll().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
