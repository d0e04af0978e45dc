import { Readable } from 'node:stream';
import type { Clock } from '../../src/base/clock.ts';
import type { Output, Terminal } from '../../src/cli/command.ts';

/** Keeps what is written, in order. */
export class RecordedOutput implements Output {
  readonly chunks: Buffer[] = [];
  readonly isTTY?: boolean;
  readonly columns?: number;

  constructor(screen?: { readonly columns: number }) {
    if (screen === undefined) return;
    this.isTTY = true;
    this.columns = screen.columns;
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  write(chunk: string | Uint8Array, written?: (error?: Error | null) => void): boolean {
    this.chunks.push(Buffer.from(chunk));
    written?.(null);
    return true;
  }
}

/** A clock that a test moves by hand. */
export class HandClock implements Clock {
  nowMs = 0;

  wallMs(): number {
    return this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  after(): never {
    throw new Error('nothing on this clock waits');
  }
}

export interface RecordedTerminal extends Terminal {
  readonly output: RecordedOutput;
  readonly notes: RecordedOutput;
  readonly clock: HandClock;
}

/** A terminal without a process, that keeps what it is told. */
export function recordedTerminal(input: string | Uint8Array = ''): RecordedTerminal {
  return {
    input: Readable.from([Buffer.from(input)]),
    output: new RecordedOutput(),
    notes: new RecordedOutput(),
    environment: {},
    clock: new HandClock(),
    interrupted: new AbortController().signal,
  };
}
