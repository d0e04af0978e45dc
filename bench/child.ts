import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);
const outputBytesMax = 64 * 1024 * 1024;

/** Runs a program of this folder with a request as JSON; gives what it prints, parsed. Its standard error is shown when it fails. */
export async function runChild<T>(program: string, request: object, flags: readonly string[] = []): Promise<T> {
  const options = { maxBuffer: outputBytesMax };
  const { stdout } = await execFileAsync(process.execPath, [...flags, program, JSON.stringify(request)], options);
  return JSON.parse(stdout);
}

/** In such a program: answers the request of its command line. */
export async function answerParent<Q>(work: (request: Q) => Promise<object>): Promise<void> {
  console.log(JSON.stringify(await work(JSON.parse(process.argv[2] ?? ''))));
}
