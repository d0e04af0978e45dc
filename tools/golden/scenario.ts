import { type Checkpoint, checkpointSize, decodeCheckpoint } from '../../src/freezer/checkpoint.ts';
import { bytesFromHex, GoldenError } from './golden-error.ts';
import { type GoldenSettings, parseSettings } from './golden-settings.ts';

/** `keepall`: all that was written is on disk. `synced`: only what was made durable. */
export type CrashKind = 'keepall' | 'synced';

export type Operation =
  | { readonly kind: 'open'; readonly checkpoint: Checkpoint | undefined }
  | { readonly kind: 'put'; readonly key: Buffer; readonly value: Buffer }
  | { readonly kind: 'get'; readonly key: Buffer }
  | { readonly kind: 'sync' | 'close' | 'files' }
  | { readonly kind: 'crash'; readonly survival: CrashKind };

export interface Step {
  /** Line number in the file, the first is 1. */
  readonly line: number;
  readonly text: string;
  readonly operation: Operation;
  /** The lines it must produce, without their mark. */
  readonly expected: readonly string[];
}

export interface Scenario {
  readonly settings: GoldenSettings;
  readonly steps: readonly Step[];
}

const expectedMark = '>';
const commentMark = '#';

/** A scenario from its text; anything that is no scenario is a GoldenError that names the line. */
export function parseScenario(text: string): Scenario {
  const lines = text.split(/\r?\n/).map((line, index) => ({ number: index + 1, text: line.trim() }));
  const said = lines.filter((line) => line.text !== '' && !line.text.startsWith(commentMark));
  const start = said.findIndex((line) => isSettings(line.text));
  const first = said[start];
  if (first === undefined) throw new GoldenError('no line of settings');
  const settings = atLine(first.number, () => parseSettings(settingsFields(first.text)));
  const steps: (Step & { readonly expected: string[] })[] = [];
  for (const line of said.slice(start + 1)) {
    if (line.text.startsWith(expectedMark)) {
      const step = steps.at(-1);
      if (step === undefined) throw new GoldenError(`line ${line.number}: an expected line before any operation`);
      step.expected.push(line.text.slice(expectedMark.length).trim());
    } else {
      const operation = atLine(line.number, () => parseOperation(line.text, settings));
      steps.push({ line: line.number, text: line.text, operation, expected: [] });
    }
  }
  if (steps.length === 0) throw new GoldenError('no operation');
  return { settings, steps };
}

function isSettings(line: string): boolean {
  return line.split(/\s+/)[0] === 'settings';
}

function settingsFields(line: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const word of line.split(/\s+/).slice(1)) {
    const [name = '', value, ...more] = word.split('=');
    if (value === undefined || more.length > 0) throw new GoldenError(`no setting: ${word}`);
    if (name in fields) throw new GoldenError(`setting ${name} twice`);
    fields[name] = value;
  }
  return fields;
}

function parseOperation(line: string, settings: GoldenSettings): Operation {
  const [name = '', ...words] = line.split(/\s+/);
  const limit = name === 'put' ? 2 : name === 'open' || name === 'get' || name === 'crash' ? 1 : 0;
  if (words.length > limit) throw new GoldenError(`${name} takes at most ${limit} words, found ${words.length}`);
  const [first = '', second = ''] = words;
  switch (name) {
    case 'open':
      return { kind: 'open', checkpoint: first === 'none' ? undefined : parseCheckpoint(first) };
    case 'put':
      return { kind: 'put', key: parseKey(first, settings), value: bytesFromHex(second, 'value') };
    case 'get':
      return { kind: 'get', key: parseKey(first, settings) };
    case 'sync':
    case 'close':
    case 'files':
      return { kind: name };
    case 'crash':
      if (first !== 'keepall' && first !== 'synced') throw new GoldenError(`unknown survival "${first}"`);
      return { kind: 'crash', survival: first };
    default:
      throw new GoldenError(`unknown operation "${name}"`);
  }
}

/** A checkpoint in hex. */
export function parseCheckpoint(text: string): Checkpoint {
  const bytes = bytesFromHex(text, 'checkpoint');
  if (bytes.length !== checkpointSize) {
    throw new GoldenError(`a checkpoint has ${checkpointSize} bytes, found ${bytes.length}`);
  }
  return decodeCheckpoint(bytes);
}

/** A key in hex, of the length that the settings say. */
export function parseKey(text: string, settings: GoldenSettings): Buffer {
  const key = bytesFromHex(text, 'key');
  if (key.length !== settings.keylen) throw new GoldenError(`a key has ${settings.keylen} bytes, found ${key.length}`);
  return key;
}

function atLine<T>(line: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new GoldenError(`line ${line}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
