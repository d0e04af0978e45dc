import type { Clock } from '../src/base/clock.ts';
import type { Lab } from './lab.ts';
import type { Tally } from './tally.ts';
import { sumOf } from './work.ts';

/** Where progress is written: a terminal, a file or a pipe. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Between two lines where they cannot be drawn over. */
const lineMs = 10_000;
const columnsDefault = 80;

/** How far the lab is: a line that is drawn over on a terminal, a line now and then elsewhere, a line a violation. */
export class LabProgress {
  readonly #screen: Screen;
  readonly #clock: Clock;
  readonly #seconds: number | undefined;
  #lineMs: number;
  #drawnLength = 0;
  /** Violations told of each experiment. */
  readonly #told = new Map<string, number>();

  constructor(screen: Screen, clock: Clock, seconds: number | undefined) {
    this.#screen = screen;
    this.#clock = clock;
    this.#seconds = seconds;
    this.#lineMs = clock.monotonicMs();
  }

  /** Called now and then. */
  tick(lab: Pick<Lab, 'tallies' | 'running' | 'tookMs'>): void {
    if (this.#screen.isTTY === true) {
      this.#draw(this.#line(lab));
      return;
    }
    if (this.#clock.monotonicMs() - this.#lineMs < lineMs) return;
    this.#lineMs = this.#clock.monotonicMs();
    this.#screen.write(`${this.#line(lab)}\n`);
  }

  /** Called after each round: tells of a violation at once, as the end may be hours away. */
  roundEnded({ experiment, violations }: Tally): void {
    const told = this.#told.get(experiment.name) ?? 0;
    this.#told.set(experiment.name, violations.length);
    for (const { message, replay } of violations.slice(told)) {
      this.clear();
      this.#screen.write(`${experiment.name}: VIOLATION: ${message}\n  again: ${replay}\n`);
    }
  }

  /** Takes the line away, so that other text can be written. */
  clear(): void {
    if (this.#drawnLength > 0) this.#screen.write(`\r${' '.repeat(this.#drawnLength)}\r`);
    this.#drawnLength = 0;
  }

  #draw(line: string): void {
    // One column stays free: a full line would wrap, and could not be drawn over.
    const text = line.slice(0, (this.#screen.columns || columnsDefault) - 1);
    this.#screen.write(`\r${text.padEnd(this.#drawnLength)}`);
    this.#drawnLength = text.length;
  }

  #line({ tallies, running, tookMs }: Pick<Lab, 'tallies' | 'running' | 'tookMs'>): string {
    const ran = tallies.filter(({ skipped }) => skipped === undefined);
    const done = ran.filter(({ wholeRounds }) => wholeRounds > 0).length;
    const rounds = ran.reduce((total, tally) => total + tally.rounds, 0);
    const violations = ran.reduce((total, tally) => total + tally.violations.length, 0);
    const { cases, diskStates } = sumOf(ran.map(({ work }) => work));
    const limit = this.#seconds === undefined ? '' : ` of ${this.#seconds}`;
    return [
      `${Math.floor(tookMs / 1000)}${limit} s`,
      `${done} of ${ran.length} experiments`,
      `${rounds} rounds`,
      `${cases} cases`,
      `${diskStates} disk states`,
      `${violations} violations`,
      `now ${running.join(' and ')}`,
    ].join(', ');
  }
}
