import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** One line of a Dockerfile, continuations joined. */
export interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** What an image says of its processes. */
export interface ImageSettings {
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthCheck: readonly string[];
  readonly workingDirectory: string;
  readonly user: number;
  readonly volume: string;
  readonly stopSignal: NodeJS.Signals;
}

/** The folders of an image that its own instructions fill; the rest is the base image's. */
const ownFolders = /(?<=^|\s)\/(?=app\b|data\b|usr\/local\/bin\b)/g;

/** The instructions of a Dockerfile, stage by stage. */
export function parseStages(text: string): ReadonlyMap<string, readonly Instruction[]> {
  const lines = text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, ' ')
    .split('\n');
  const stages = new Map<string, Instruction[]>();
  let stage: Instruction[] = [];
  for (const line of lines) {
    const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') {
      const [base = '', as] = rest.split(/\s+AS\s+/);
      stage = [...(stages.get(base) ?? [])];
      stages.set(as ?? 'final', stage);
    } else if (name !== '') {
      stage.push({ name, text: rest });
    }
  }
  return stages;
}

export function settingsOf(instructions: readonly Instruction[]): ImageSettings {
  const last = (name: string): string => instructions.findLast((one) => one.name === name)?.text ?? '';
  const pairs = (name: string): Record<string, string> => {
    const found = instructions.filter((one) => one.name === name).flatMap(({ text }) => [...text.matchAll(pair)]);
    return Object.fromEntries(found.map(([, key = '', quoted, plain]) => [key, quoted ?? plain ?? '']));
  };
  return {
    env: pairs('ENV'),
    labels: pairs('LABEL'),
    entrypoint: JSON.parse(last('ENTRYPOINT')),
    command: JSON.parse(last('CMD')),
    healthCheck: JSON.parse(last('HEALTHCHECK').replace(/^.*\bCMD\s+/, '')),
    workingDirectory: last('WORKDIR'),
    user: Number(last('USER').split(':')[0]),
    volume: last('VOLUME'),
    stopSignal: last('STOPSIGNAL') as NodeJS.Signals,
  };
}

const pair = /([\w.]+)=(?:"([^"]*)"|(\S+))/g;

/**
 * Does in `<target>/<stage>` what the stages' instructions do in an image: folders of the image are folders below that.
 * The base image's part is played by this machine.
 */
export function buildStages(
  context: string,
  stages: ReadonlyMap<string, readonly Instruction[]>,
  target: string,
  env: NodeJS.ProcessEnv,
): void {
  for (const [stage, instructions] of stages) {
    const root = join(target, stage);
    mkdirSync(join(root, 'usr', 'local', 'bin'), { recursive: true });
    let folder = root;
    for (const { name, text } of instructions) {
      if (name === 'WORKDIR') folder = join(root, text);
      mkdirSync(folder, { recursive: true });
      if (name === 'COPY') copy({ context, target, folder, text });
      if (name === 'RUN') runCommand(text.replace(ownFolders, `${root}/`), folder, env);
    }
  }
}

function copy(place: { context: string; target: string; folder: string; text: string }): void {
  const words = place.text.split(/\s+/);
  const from = words[0]?.startsWith('--from=') ? words.shift()?.slice('--from='.length) : undefined;
  const to = words.pop() ?? '';
  for (const source of words) {
    const path = from === undefined ? join(place.context, source) : join(place.target, from, source);
    // A folder's content is copied, not the folder; a file keeps its name in a folder.
    const isFile = to.endsWith('/') && /\.\w+$|^[A-Z]+$/.test(basename(source));
    cpSync(path, join(place.folder, to, isFile ? basename(source) : ''), { recursive: true });
  }
}

function runCommand(command: string, cwd: string, env: NodeJS.ProcessEnv): void {
  // Only root can give a folder to another user.
  const possible = process.getuid?.() === 0 ? command : command.replace(/ -o \d+ -g \d+/, '');
  execFileSync('/bin/sh', ['-c', possible], { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** The Dockerfile of a context. */
export function readStages(context: string): ReadonlyMap<string, readonly Instruction[]> {
  return parseStages(readFileSync(join(context, 'Dockerfile'), 'utf8'));
}

/** A path of the image, as it is below `root`. */
export function mappedPath(root: string, path: string): string {
  return path.replace(ownFolders, `${root}/`);
}
