import { unreachable } from '../../src/base/assert.ts';
import { codeOf, messageOf } from '../../src/base/errors.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { type Checkpoint, encodeCheckpoint } from '../../src/freezer/checkpoint.ts';
import { cursorSize, encodeCursor } from '../../src/freezer/cursor.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { GoldenError } from './golden-error.ts';
import { freezerSettings, type GoldenSettings, goldenPartitions } from './golden-settings.ts';
import { type FileResult, Tally } from './result.ts';
import type { CrashKind, Operation, Scenario, Step } from './scenario.ts';
import { sha256, storedFiles } from './stored-files.ts';

/** Where a scenario takes place: an empty disk, and what a crash leaves of it. */
export interface Stage {
  readonly disk: Disk;
  /** The process dies. What was opened before is not used again. */
  crash(kind: CrashKind): void;
}

const someFrame = '<some frame>';

/** Replays a scenario; an error of an operation is what it produced, so it counts as a mismatch and the replay goes on. */
export async function replayScenario(file: string, scenario: Scenario, stage: Stage): Promise<FileResult> {
  const tally = new Tally(file);
  const replay = new Replay(scenario.settings, stage);
  const compared = scenario.settings.comp === 0 ? (line: string) => line : withoutFrameSizes;
  for (const step of scenario.steps) {
    const found = await replay.run(step.operation);
    tally.compare(`line ${step.line}: ${step.text}`, joined(step.expected, compared), joined(found, compared));
  }
  await replay.end();
  return tally.result();
}

/** Whether a scenario needs a stage on which crashes lose what was not durable. */
export function hasCrash(steps: readonly Step[]): boolean {
  return steps.some((step) => step.operation.kind === 'crash');
}

class Replay {
  readonly #settings: GoldenSettings;
  readonly #stage: Stage;
  #freezer: Freezer<Uint8Array> | undefined;

  constructor(settings: GoldenSettings, stage: Stage) {
    this.#settings = settings;
    this.#stage = stage;
  }

  async run(operation: Operation): Promise<readonly string[]> {
    try {
      return await this.#produce(operation);
    } catch (error) {
      return [`error ${codeOf(error) ?? 'unknown'}: ${messageOf(error)}`];
    }
  }

  /** Gives the handles back without a sync. */
  async end(): Promise<void> {
    const freezer = this.#freezer;
    this.#freezer = undefined;
    await freezer?.release();
  }

  async #produce(operation: Operation): Promise<readonly string[]> {
    switch (operation.kind) {
      case 'open':
        await this.#open(operation.checkpoint);
        return ['ok'];
      case 'put':
        return [`cursor ${encodeCursor(await this.#opened().put(operation.key, operation.value)).toString('hex')}`];
      case 'get':
        return [shownValue(await this.#opened().get({ key: operation.key }))];
      case 'sync':
        return [shownCheckpoint(await this.#opened().sync())];
      case 'close':
        return [shownCheckpoint(await this.#close())];
      case 'files':
        return this.#files();
      case 'crash':
        this.#freezer = undefined;
        this.#stage.crash(operation.survival);
        return ['ok'];
      default:
        return unreachable(operation);
    }
  }

  async #open(checkpoint: Checkpoint | undefined): Promise<void> {
    await this.end();
    const start =
      checkpoint === undefined ? ({ kind: 'create' } as const) : ({ kind: 'checkpoint', checkpoint } as const);
    this.#freezer = await Freezer.open(this.#stage.disk, freezerSettings(this.#settings), start);
  }

  #close(): Promise<Checkpoint> {
    const freezer = this.#opened();
    this.#freezer = undefined;
    return freezer.close();
  }

  #opened(): Freezer<Uint8Array> {
    if (this.#freezer === undefined) throw new GoldenError('no store is open');
    return this.#freezer;
  }

  async #files(): Promise<readonly string[]> {
    const files = await storedFiles(this.#stage.disk, goldenPartitions);
    return files.map((file) => `${file.partition}/${file.name} ${file.bytes.length} ${sha256(file.bytes)}`);
  }
}

function joined(lines: readonly string[], compared: (line: string) => string): string {
  return lines.map(compared).join(' | ');
}

/** With compression the sizes of frames belong to the version of the library: only that a cursor came is compared. */
function withoutFrameSizes(line: string): string {
  return new RegExp(`^cursor [0-9a-f]{${2 * cursorSize}}$`).test(line) ? `cursor ${someFrame}` : line;
}

function shownValue(value: Uint8Array | undefined): string {
  return value === undefined ? 'none' : `some ${Buffer.from(value).toString('hex')}`.trim();
}

function shownCheckpoint(checkpoint: Checkpoint): string {
  return `checkpoint ${encodeCheckpoint(checkpoint).toString('hex')}`;
}
