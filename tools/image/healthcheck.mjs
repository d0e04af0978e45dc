/**
 * Asks the worker of this container whether it is alive: exit status 0 or 1, one line that says why. An image without a
 * shell or curl has nothing else to ask with. It knows the port by the variable that the worker has it from.
 */
const port = process.env.PERMAFROST_HTTP_PORT ?? '8410';
const timeoutMs = 4000;

try {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(timeoutMs) });
  console.log(`/healthz answers ${response.status}`);
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  console.log(`/healthz does not answer: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
