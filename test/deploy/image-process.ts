import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ImageSettings, mappedPath } from './dockerfile.ts';

export interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** What runs in an image whose files are below `root`, as the user and in the environment of the image. */
export class ImageProcesses {
  readonly #root: string;
  readonly #settings: ImageSettings;
  readonly #env: Record<string, string>;

  constructor(root: string, settings: ImageSettings, env: Readonly<Record<string, string>>) {
    this.#root = root;
    this.#settings = settings;
    const own = Object.entries(settings.env).map(([name, value]) => [name, mappedPath(root, value)]);
    const path = [join(root, 'usr', 'local', 'bin'), dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter);
    this.#env = { ...Object.fromEntries(own), PATH: path, ...env };
  }

  /** Runs a vector to its end, as `docker exec` does. */
  run(vector: readonly string[], env: Readonly<Record<string, string>> = {}): Ended {
    const [program = '', ...args] = this.#mapped(vector);
    const options = { ...this.#options(env), encoding: 'utf8' } as const;
    const { status, stdout, stderr, error } = spawnSync(program, args, options);
    return { status, output: `${stdout}${stderr}${error?.message ?? ''}` };
  }

  /** Starts the entry point with its command; resolves when it has logged that it is ready. */
  async start(): Promise<ImageWorker> {
    const [program = '', ...args] = this.#mapped([...this.#settings.entrypoint, ...this.#settings.command]);
    const child = spawn(program, args, { ...this.#options({}), stdio: ['ignore', 'pipe', 'pipe'] });
    const worker = new ImageWorker(child, this.#settings.stopSignal);
    await worker.ready;
    return worker;
  }

  #mapped(vector: readonly string[]): string[] {
    return vector.map((word) => mappedPath(this.#root, word));
  }

  #options(env: Readonly<Record<string, string>>) {
    const { user, workingDirectory } = this.#settings;
    const identity = process.getuid?.() === 0 ? { uid: user, gid: user } : {};
    return { ...identity, cwd: mappedPath(this.#root, workingDirectory), env: { ...this.#env, ...env } };
  }
}

export class ImageWorker {
  /** Resolves to the port of metrics and health; rejects with its last words when it ends before. */
  readonly ready: Promise<number>;
  readonly #child: ChildProcess;
  readonly #stopSignal: NodeJS.Signals;

  constructor(child: ChildProcess, stopSignal: NodeJS.Signals) {
    this.#child = child;
    this.#stopSignal = stopSignal;
    this.ready = this.#becomeReady();
  }

  /** Ends it as the image's runtime would, and resolves to its exit status. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode !== null) return this.#child.exitCode;
    const exited = once(this.#child, 'exit');
    this.#child.kill(this.#stopSignal);
    const [status] = await exited;
    return status;
  }

  #becomeReady(): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const said: string[] = [];
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        if (line.includes('"event":"worker-ready"')) resolve(JSON.parse(line).http.port);
      });
    }
    this.#child.once('exit', (status) => reject(new Error(`it ended with ${status}:\n${said.join('\n')}`)));
    return promise;
  }
}
