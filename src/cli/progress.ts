import type { Clock } from '../base/clock.ts';
import { countText, durationText, sizeText } from './amounts.ts';
import type { Output } from './command.ts';

/**
 * How far a long command is: a bar that is drawn again in place on a terminal, a plain line now and then elsewhere.
 *
 * The rate is that of the last few seconds, so that it tells what happens now; the time left follows from it. The
 * clock is read, never waited for: a command that makes no steps draws nothing.
 */
export interface ProgressSettings {
  /** What goes on, e.g. `archiving`. */
  readonly label: string;
  /** What is counted, e.g. `records`; `bytes` are shown as sizes. */
  readonly unit: string;
}

/** Milliseconds between two drawings. */
const redrawMs = 100;
const lineMs = 5_000;
/** The rate is measured over at least this long. */
const rateWindowMs = 3_000;
const barWidthMax = 30;
/** Of a terminal that does not tell, or tells 0. */
const columnsDefault = 80;

interface Sample {
  readonly atMs: number;
  readonly done: number;
}

export class Progress {
  readonly #output: Output;
  readonly #clock: Clock;
  readonly #settings: ProgressSettings;
  readonly #startMs: number;
  #samples: readonly [older: Sample, newer: Sample];
  #done = 0;
  #total: number | undefined;
  #note = '';
  #drawnMs: number;
  /** Characters of the bar that stands on the terminal. */
  #drawnLength = 0;

  constructor(settings: ProgressSettings, output: Output, clock: Clock) {
    this.#settings = settings;
    this.#output = output;
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
    this.#drawnMs = this.#startMs;
    const start = { atMs: this.#startMs, done: 0 };
    this.#samples = [start, start];
  }

  /** The state now: `done` of `total` (unknown while undefined), and a word on it, e.g. `2 failed`. */
  update(done: number, total?: number, note = ''): void {
    this.#done = done;
    this.#total = total;
    this.#note = note;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#samples[1].atMs >= rateWindowMs) this.#samples = [this.#samples[1], { atMs: nowMs, done }];
    if (nowMs - this.#drawnMs < (this.#onTerminal ? redrawMs : lineMs)) return;
    this.#drawnMs = nowMs;
    this.#draw(nowMs);
  }

  /** Takes the bar away, so that other text can be written; the next update draws it again. */
  clear(): void {
    if (this.#drawnLength === 0) return;
    this.#output.write(`\r${' '.repeat(this.#drawnLength)}\r`);
    this.#drawnLength = 0;
  }

  /** Ends with one line on all of it: count, time, mean rate. */
  end(): void {
    this.clear();
    const tookMs = this.#clock.monotonicMs() - this.#startMs;
    const rate = tookMs === 0 ? '' : `, ${this.#amount(this.#done / (tookMs / 1000))}/s`;
    this.#output.write(
      `${this.#settings.label}: ${this.#counted(this.#done)} in ${durationText(tookMs)}${rate}${suffix(this.#note)}\n`,
    );
  }

  get #onTerminal(): boolean {
    return this.#output.isTTY === true;
  }

  #draw(nowMs: number): void {
    if (!this.#onTerminal) {
      this.#output.write(`${this.#line(nowMs)}\n`);
      return;
    }
    // One column stays free: a full line would wrap, and could not be drawn over.
    const width = Math.max(10, (this.#output.columns || columnsDefault) - 1);
    const line = this.#line(nowMs);
    const bar = this.#bar(Math.min(barWidthMax, width - line.length - 1));
    const text = `${line}${bar}`.slice(0, width);
    this.#output.write(`\r${text.padEnd(this.#drawnLength)}`);
    this.#drawnLength = text.length;
  }

  #line(nowMs: number): string {
    const rate = this.#ratePerSecond(nowMs);
    const parts = [
      this.#total === undefined
        ? this.#counted(this.#done)
        : `${this.#amount(this.#done)} of ${this.#counted(this.#total)} (${this.#percent()}%)`,
      ...(rate > 0 ? [`${this.#amount(rate)}/s`] : []),
      ...this.#timeLeft(rate),
    ];
    return `${this.#settings.label}: ${parts.join(', ')}${suffix(this.#note)}`;
  }

  #timeLeft(rate: number): readonly string[] {
    if (this.#total === undefined || rate <= 0 || this.#done >= this.#total) return [];
    return [`${durationText(((this.#total - this.#done) / rate) * 1000)} left`];
  }

  #percent(): number {
    return this.#total === undefined || this.#total === 0 ? 100 : Math.floor((this.#done / this.#total) * 100);
  }

  #bar(width: number): string {
    if (this.#total === undefined || width < 8) return '';
    const inner = width - 2;
    const filled = Math.round((inner * Math.min(this.#percent(), 100)) / 100);
    return ` [${'#'.repeat(filled)}${'.'.repeat(inner - filled)}]`;
  }

  #ratePerSecond(nowMs: number): number {
    const [since] = this.#samples;
    const passedMs = nowMs - since.atMs;
    return passedMs <= 0 ? 0 : ((this.#done - since.done) / passedMs) * 1000;
  }

  #amount(value: number): string {
    return this.#settings.unit === 'bytes' ? sizeText(value) : countText(value);
  }

  #counted(value: number): string {
    return this.#settings.unit === 'bytes' ? sizeText(value) : `${countText(value)} ${this.#settings.unit}`;
  }
}

function suffix(note: string): string {
  return note === '' ? '' : `, ${note}`;
}
