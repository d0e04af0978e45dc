import { mkdir, readdir, stat } from 'node:fs/promises';
import { codeOf, messageOf } from '../base/errors.ts';
import type { Config } from '../service/config.ts';
import { exportShard } from '../shard/export.ts';
import { countText, sizeText } from './amounts.ts';
import { CliError } from './cli-error.ts';
import { defineCommand, type ExitCode, exitCodes, type Terminal, UsageError } from './command.ts';
import { compressionOf } from './compression.ts';
import { ExportDirectory } from './export-directory.ts';
import { type ExportBounds, ExportLines, type ExportPorts, type ExportSource, writeLines } from './export-run.ts';
import { existingShard, type OfflineShard, PhaseProgress, pathOption, storeDeps } from './offline-shard.ts';
import { Progress } from './progress.ts';
import { configFrom, shardOptions } from './settings.ts';

export const exportCommand = defineCommand({
  name: 'export',
  summary: 'writes the records of shards that no worker runs as lines of JSON',
  description:
    'Every record, all versions of a key, in the order of the archive, one shard after the other; each is checked against its checksums. A ' +
    'line is {"key": "…", "text": "…"} or {"key": "…", "value": "<base64>"}, with the time of archival, the put and the cursor. The worker ' +
    'must be stopped (or export a copy, or a backup that was restored). A name that ends in .gz or .zst is compressed. Into a directory ' +
    '(one that is there, or a name that ends in /) the export is written in parts with a list of them, and run again after an interruption ' +
    'it goes on behind the last part; permafrost import takes such a directory. Ends with 1 when something could not be read.',
  operands: { target: { summary: 'a file, a directory, or - for standard output', required: true } },
  options: {
    from: {
      kind: 'text',
      placeholder: 'time',
      summary: 'only records archived at this time or later: 2031-04-01, or with T12:00:00Z',
    },
    to: { kind: 'text', placeholder: 'time', summary: 'only records archived before this time' },
    'part-bytes': {
      kind: 'count',
      placeholder: 'n',
      min: 1,
      max: 2 ** 40,
      default: 268_435_456,
      summary: 'a directory: bytes of lines in a part, before compression',
    },
    compress: {
      kind: 'choice',
      choices: ['zstd', 'gzip', 'none'],
      default: 'zstd',
      summary: 'a directory: how its parts are compressed',
    },
    json: {
      kind: 'flag',
      summary: 'print the counts as JSON, on standard error when the records go to standard output',
    },
    ...pathOption,
    ...shardOptions,
  },
  examples: [
    {
      line: 'permafrost export records.ndjson.zst --data-dir ./data',
      effect: 'write all shards of a data directory into a file',
    },
    {
      line: 'permafrost export ./export/ --data-dir ./data',
      effect: 'write them in parts; run it again after an interruption',
    },
    { line: 'permafrost export - --from 2031-04-01 --to 2031-05-01 | jq .key', effect: 'see the keys of one month' },
  ],
  async run({ operands, options }, terminal) {
    const config = configFrom(options, terminal.environment);
    const bounds = boundsOf(options.from, options.to);
    const shards = await shardsOf(config, options.path, options.shard !== undefined);
    const progress = new ExportProgress(terminal);
    const sources = shards.map((shard) => sourceOf(shard, terminal, progress));
    const { target } = operands;
    try {
      if (target === '-') await toOutput(sources, bounds, progress, terminal);
      else if (await isDirectory(target)) {
        const archive = shards[0]?.settings.archive ?? '';
        const { compress: compression, 'part-bytes': partBytes } = options;
        const directory = await ExportDirectory.open(target, { archive, bounds, compression, partBytes });
        await directory.write(sources, progress.ports(terminal.interrupted));
      } else await toFile(target, sources, bounds, progress, terminal);
    } finally {
      progress.clear();
    }
    const output = target === '-' ? terminal.notes : terminal.output;
    output.write(options.json ? `${JSON.stringify(progress.counts)}\n` : `${progress.text}\n`);
    if (terminal.interrupted.aborted) terminal.notes.write('permafrost export: interrupted\n');
    return statusOf(progress, terminal);
  },
});

function statusOf(progress: ExportProgress, terminal: Terminal): ExitCode {
  if (terminal.interrupted.aborted) return exitCodes.interrupted;
  return progress.counts.lost > 0 ? exitCodes.negative : exitCodes.done;
}

function boundsOf(from: string | undefined, to: string | undefined): ExportBounds {
  const bounds = { fromMs: timeOf('from', from), toMs: timeOf('to', to) };
  if (bounds.fromMs !== undefined && bounds.toMs !== undefined && bounds.toMs <= bounds.fromMs)
    throw new UsageError('invalid-option', `--to must be later than --from, not '${to}'`);
  return bounds;
}

/** Milliseconds of a number of them, a day (UTC), or a time with its zone. */
function timeOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{12,}$/.test(text) ? Number(text) : isoMs(text);
  if (Number.isSafeInteger(ms)) return ms;
  throw new UsageError(
    'invalid-option',
    `--${option} must be a time such as 2031-04-01 or 2031-04-01T12:00:00Z, not '${text}'`,
  );
}

/** NaN for what is none. Checked here, since Date.parse makes times of almost anything: 'part 1', or the 30th of February. */
function isoMs(text: string): number {
  const [, day] = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.exec(text) ?? [];
  if (day === undefined) return Number.NaN;
  const midnightMs = Date.parse(day);
  const isDay = Number.isFinite(midnightMs) && new Date(midnightMs).toISOString().startsWith(day);
  return isDay ? Date.parse(text) : Number.NaN;
}

/** The shard that was named, or every one of the data directory. */
async function shardsOf(config: Config, path: string | undefined, isNamed: boolean): Promise<readonly OfflineShard[]> {
  if (path !== undefined || isNamed) return [await existingShard(config, path)];
  const names = await readdir(config.dataDir).catch((error: unknown) => {
    throw new CliError('unreadable-input', `${config.dataDir} cannot be read: ${messageOf(error)}`, { cause: error });
  });
  const numbers = names.flatMap((name) => /^shard-(\d{4,})$/.exec(name)?.[1] ?? []).map(Number);
  if (numbers.length === 0) return [await existingShard(config)];
  const ordered = numbers.sort((left, right) => left - right);
  return Promise.all(ordered.map((shard) => existingShard({ ...config, shard })));
}

function sourceOf({ disk, lock, settings }: OfflineShard, terminal: Terminal, progress: ExportProgress): ExportSource {
  const deps = { disk, lock, ...storeDeps(terminal, progress.opening) };
  return { shard: settings.shard, steps: () => exportShard(deps, settings) };
}

async function isDirectory(target: string): Promise<boolean> {
  if (target.endsWith('/')) {
    await mkdir(target, { recursive: true }).catch((error: unknown) => {
      throw new CliError('unwritable-output', `${target} cannot be made: ${messageOf(error)}`, { cause: error });
    });
    return true;
  }
  const found = await stat(target).catch(() => undefined);
  return found?.isDirectory() === true;
}

/** The lines of all shards, one after the other. */
async function* allLines(
  sources: readonly ExportSource[],
  bounds: ExportBounds,
  ports: ExportPorts,
): AsyncGenerator<Buffer> {
  for (const source of sources) {
    const lines = new ExportLines(source, bounds, undefined, ports);
    try {
      yield* lines.take(Number.POSITIVE_INFINITY);
    } finally {
      await lines.close();
    }
  }
}

async function toOutput(
  sources: readonly ExportSource[],
  bounds: ExportBounds,
  progress: ExportProgress,
  { output, interrupted }: Terminal,
): Promise<void> {
  for await (const chunk of allLines(sources, bounds, progress.ports(interrupted))) {
    await new Promise<void>((resolve, reject) => {
      output.write(chunk, (error) => (error == null ? resolve() : reject(error)));
    });
  }
}

async function toFile(
  target: string,
  sources: readonly ExportSource[],
  bounds: ExportBounds,
  progress: ExportProgress,
  { interrupted }: Terminal,
): Promise<void> {
  if ((await stat(target).catch(() => undefined)) !== undefined)
    throw new UsageError('unexpected-operand', `${target} is there already: name another file`);
  try {
    const lines = allLines(sources, bounds, progress.ports(interrupted));
    await writeLines(lines, target, compressionOf(target), () => !interrupted.aborted);
  } catch (error) {
    // An error of the archive has a code of its own.
    if (!['ENOENT', 'EACCES', 'ENOSPC', 'EISDIR', 'ENOTDIR', 'EROFS'].includes(codeOf(error) ?? '')) throw error;
    throw new CliError('unwritable-output', `${target} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

/** Counts what was exported, and shows it. */
class ExportProgress {
  readonly counts = { exported: 0, passedOver: 0, lost: 0, bytes: 0 };
  readonly opening: PhaseProgress;
  readonly #terminal: Terminal;
  readonly #progress: Progress;
  #expected = 0;
  #told = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.opening = new PhaseProgress('export', terminal);
    this.#progress = new Progress({ label: 'export', unit: 'records' }, terminal.notes, terminal.clock);
  }

  get text(): string {
    const { exported, passedOver, lost, bytes } = this.counts;
    const others = [
      ...(passedOver > 0 ? [`${countText(passedOver)} passed over`] : []),
      ...(lost > 0 ? [`${countText(lost)} could not be read`] : []),
    ];
    return [`${countText(exported)} records exported, ${sizeText(bytes)}`, ...others].join('; ');
  }

  ports(interrupted: AbortSignal): ExportPorts {
    const sums = { ...this.counts };
    let shardNow = -1;
    return {
      interrupted,
      start: (shard, _instance, recordCount) => {
        if (shard !== shardNow) Object.assign(sums, this.counts);
        shardNow = shard;
        this.opening.clear();
        this.#expected += recordCount;
      },
      lost: (shard, reason) => this.#tellLoss(shard, reason),
      step: (tally) => {
        for (const name of ['exported', 'passedOver', 'lost', 'bytes'] as const)
          this.counts[name] = sums[name] + tally[name];
        const { exported, passedOver, lost } = this.counts;
        this.#progress.update(exported + passedOver + lost, this.#expected, lost > 0 ? `${lost} lost` : '');
      },
    };
  }

  clear(): void {
    this.opening.clear();
    this.#progress.clear();
  }

  #tellLoss(shard: number, reason: string): void {
    this.#told += 1;
    if (this.#told > 100) return;
    this.clear();
    this.#terminal.notes.write(
      this.#told === 100 ? 'LOST more are only counted\n' : `LOST shard ${shard}: ${reason}\n`,
    );
  }
}
