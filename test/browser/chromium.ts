/**
 * A real browser without a window, spoken to over a pipe in the DevTools protocol: messages in JSON, each ended by a
 * zero byte. It has a profile of its own, which goes with it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const programs = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** The browser's program; `undefined` when none is on PATH. */
export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return programs.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

type Answer = Record<string, unknown>;

/** One page in a browser of its own, and what it said on its console. */
export class BrowserPage implements AsyncDisposable {
  /** Errors of every kind: exceptions, `console.error`, refused and failed requests. */
  readonly errors: string[] = [];
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #input: Writable;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();
  #session: string | undefined;
  #lastId = 0;
  #rest = '';

  private constructor(child: ChildProcess, profile: string) {
    const [, , , input, output] = child.stdio;
    this.#child = child;
    this.#profile = profile;
    this.#input = input as Writable;
    (output as Readable).setEncoding('utf8').on('data', (text: string) => this.#take(text));
    child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the browser ended'));
    });
  }

  /** Starts the browser with an empty page. */
  static async start(program: string): Promise<BrowserPage> {
    const profile = await mkdtemp(join(tmpdir(), 'permafrost-browser-'));
    const switches = ['--headless=new', '--remote-debugging-pipe', `--user-data-dir=${profile}`, '--no-first-run'];
    const calm = [
      '--disable-gpu',
      '--disable-extensions',
      '--disable-background-networking',
      '--disable-dev-shm-usage',
    ];
    // Its sandbox refuses to work for root.
    const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    const stdio = ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] as const;
    const child = spawn(program, [...switches, ...calm, ...sandbox, '--window-size=1240,900'], { stdio: [...stdio] });
    await once(child, 'spawn');
    running.add(child);
    child.once('exit', () => running.delete(child));
    const page = new BrowserPage(child, profile);
    await page.#attach();
    return page;
  }

  /** Goes to an address; resolves when the page was loaded. */
  async open(url: string): Promise<void> {
    await this.#send('Page.navigate', { url });
    await this.until("document.readyState === 'complete' && location.href !== 'about:blank'");
  }

  /** The value of an expression in the page; a promise is waited for. */
  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.#send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails));
    return (answer.result as { value?: unknown }).value;
  }

  /** Resolves when the expression is true; it is looked at whenever the page's content changes. */
  async until(expression: string): Promise<void> {
    await this.evaluate(`new Promise((resolve) => {
      const look = () => { if (${expression}) { observer.disconnect(); resolve(true); } };
      const observer = new MutationObserver(look);
      observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
      addEventListener('load', look);
      look();
    })`);
  }

  /** What the page shows to people, as text. */
  async text(): Promise<string> {
    return String(await this.evaluate('document.body.innerText'));
  }

  /** As of someone who prefers light or dark pages. */
  async prefer(scheme: 'light' | 'dark'): Promise<void> {
    await this.#send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  }

  /** A picture of all of the page, as a PNG file. */
  async photograph(file: string): Promise<void> {
    const { data } = await this.#send('Page.captureScreenshot', { captureBeyondViewport: true });
    await writeFile(file, Buffer.from(String(data), 'base64'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      // Not killed: its helpers would outlive it, and make the directory of its profile anew when it is gone.
      this.#session = undefined;
      this.#send('Browser.close', {}).catch(() => {});
      await exited;
    }
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  async #attach(): Promise<void> {
    const { targetId } = await this.#send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.#send('Target.attachToTarget', { targetId, flatten: true });
    this.#session = String(sessionId);
    for (const domain of ['Page', 'Runtime', 'Log']) await this.#send(`${domain}.enable`, {});
  }

  async #send(method: string, params: Record<string, unknown>): Promise<Answer> {
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<Answer>();
    this.#waiting.set(id, answer);
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    this.#input.write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    return answer.promise;
  }

  #take(text: string): void {
    const parts = `${this.#rest}${text}`.split('\0');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) this.#hear(JSON.parse(part));
  }

  #hear({ id, method, params, result, error }: Message): void {
    if (id === undefined) {
      this.#note(method ?? '', params ?? {});
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result ?? {});
    else waiting?.reject(new Error(error.message));
  }

  #note(method: string, params: Record<string, unknown>): void {
    const isError =
      method === 'Runtime.exceptionThrown' ||
      (method === 'Runtime.consoleAPICalled' && params.type === 'error') ||
      (method === 'Log.entryAdded' && (params.entry as { level?: string }).level === 'error');
    if (isError) this.errors.push(JSON.stringify(params));
  }
}
