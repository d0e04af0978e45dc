/**
 * The one passage of all operations of a simulated disk: numbers them, logs them, delays them, and has them fail.
 *
 * An operation is *issued*, waits (for holds, then a fixed number of microtasks: few for a write, many for a sync, so
 * that code which forgets to wait for a sync is overtaken), takes effect, and *ends*. Mutating operations get their
 * step number at the moment of taking effect. After a crash nothing takes effect and everything rejects.
 */
import { type DiskOperation, diskErrorFrom } from '../../src/disk/disk-error.ts';
import type { Random } from './random.ts';

const mutatingKinds = [
  'write',
  'truncate',
  'sync',
  'create',
  'remove',
  'rename',
  'makeDirectory',
  'removeDirectory',
  'syncDirectory',
] as const;
const otherKinds = ['open', 'stat', 'list', 'size', 'read', 'close'] as const;

export type OperationKind = (typeof mutatingKinds)[number] | (typeof otherKinds)[number];

/** What an operation is about, as its caller gave it. */
export interface Issued {
  readonly kind: OperationKind;
  /** Of a rename: where from. */
  readonly path: string;
  /** Of a rename only. */
  readonly to?: string;
  readonly offset?: number;
  /** Bytes read or written; of a truncate the new size. */
  readonly size?: number;
}

/** An operation in the log. Moments come from one counter, so `a.ended < b.issued` says that b was not begun before a was done. */
export interface Logged extends Issued {
  /** The step, of a mutating operation that took effect. */
  readonly step: number | undefined;
  readonly issued: number;
  /** Missing while the operation is under way. */
  readonly ended: number | undefined;
  readonly failed: boolean;
}

/**
 * What happens instead of the operation.
 *
 * - `crash`: neither it nor anything later happens. `crash-after`: it happens, nothing later does.
 * - `eio`, `enospc`: it fails, without effect; a failed `sync` loses what it covered (see SimulatedDisk).
 * - `short-write`: a part of the bytes is written, then the write fails. `short-read`: the file seems to end early.
 * - `misdirectedBy`: a read or write succeeds, that many bytes away from where it should be.
 *
 * A fault that does not fit the operation is an `eio`.
 */
export type Fault =
  | 'crash'
  | 'crash-after'
  | 'eio'
  | 'enospc'
  | 'short-write'
  | 'short-read'
  | { readonly misdirectedBy: number };

export type StepWatcher = (step: number, operation: Issued) => void;

export type OperationFilter = (operation: Issued) => boolean;

/** Faults that wait for their operation. */
export interface ArmedFault {
  /** How many operations it has struck. */
  readonly hits: number;
  disarm(): void;
}

/** Operations that are made to wait. */
export interface Hold {
  /** Settles when the first matching operation waits. */
  readonly reached: Promise<void>;
  /** Lets the waiting ones, and all later ones, go on. */
  release(): void;
}

/** The end of the simulated process: every operation of a crashed disk rejects with it. */
export class SimulatedCrash extends Error {
  override readonly name = 'SimulatedCrash';
}

interface LoggedNow extends Logged {
  step: number | undefined;
  ended: number | undefined;
  failed: boolean;
}

interface Armed {
  readonly matches: (operation: Logged) => boolean;
  readonly fault: Fault;
  hits: number;
  timesLeft: number;
}

interface Holding {
  readonly matches: OperationFilter;
  readonly mark: () => void;
  readonly released: Promise<void>;
  readonly release: () => void;
}

export class Gate {
  readonly log: Logged[] = [];
  steps = 0;
  crashed = false;
  /** Called before a step takes effect. */
  beforeStep: StepWatcher | undefined;
  #moment = 0;
  #armed: Armed[] = [];
  #holds: Holding[] = [];
  readonly #jitter: Random | undefined;

  constructor(jitter: Random | undefined) {
    this.#jitter = jitter;
  }

  arm(matches: (operation: Logged) => boolean, fault: Fault, times: number): ArmedFault {
    const armed: Armed = { matches, fault, hits: 0, timesLeft: times };
    this.#armed.push(armed);
    return {
      get hits() {
        return armed.hits;
      },
      disarm: () => {
        this.#armed = this.#armed.filter((other) => other !== armed);
      },
    };
  }

  hold(matches: OperationFilter): Hold {
    const reached = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const release = (): void => {
      this.#holds = this.#holds.filter((other) => other !== holding);
      released.resolve();
    };
    const holding: Holding = { matches, mark: reached.resolve, released: released.promise, release };
    this.#holds.push(holding);
    return { reached: reached.promise, release };
  }

  /** Runs one operation: `effect` is called, at its moment, with the fault that it has to carry out, if any. */
  async run<T>(issued: Issued, effect: (fault: EffectFault) => T): Promise<T> {
    this.#refuseAfterCrash(issued);
    const operation: LoggedNow = {
      ...issued,
      step: undefined,
      issued: ++this.#moment,
      ended: undefined,
      failed: false,
    };
    for (const hold of this.#holds.filter((candidate) => candidate.matches(issued))) {
      hold.mark();
      await hold.released;
    }
    for (let hops = this.#hopsOf(issued.kind); hops > 0; hops--) await undefined;
    this.#refuseAfterCrash(issued);
    try {
      const result = this.#takeEffect(operation, effect);
      operation.ended = ++this.#moment;
      return result;
    } catch (error) {
      operation.ended = ++this.#moment;
      operation.failed = true;
      throw error;
    }
  }

  /**
   * Runs a read at once, where nothing is in its way: no crash, no hold, no fault that would strike it, and, with jitter,
   * only sometimes. False when it did not run.
   */
  runNow(issued: Issued, effect: () => boolean): boolean {
    const operation: Logged = { ...issued, step: undefined, issued: this.#moment + 1, ended: undefined, failed: false };
    const isInTheWay =
      this.crashed ||
      this.#jitter?.chance(0.5) === true ||
      this.#holds.some((hold) => hold.matches(issued)) ||
      this.#armed.some((armed) => armed.timesLeft > 0 && armed.matches(operation));
    if (isInTheWay) return false;
    this.#moment += 2;
    this.log.push({ ...operation, ended: this.#moment });
    return effect();
  }

  #takeEffect<T>(operation: LoggedNow, effect: (fault: EffectFault) => T): T {
    if (isMutating(operation.kind)) {
      this.beforeStep?.(this.steps + 1, operation);
      operation.step = ++this.steps;
    }
    this.log.push(operation);
    const fault = this.#faultFor(operation);
    if (fault === 'crash') this.#crash(operation);
    if (fault !== 'crash-after') return effect(fittingFault(fault, operation.kind));
    effect(undefined);
    return this.#crash(operation);
  }

  #crash(operation: Issued): never {
    this.crashed = true;
    for (const hold of this.#holds) hold.release();
    return this.#refuse(operation);
  }

  #refuseAfterCrash(operation: Issued): void {
    if (this.crashed) this.#refuse(operation);
  }

  #refuse(operation: Issued): never {
    throw new SimulatedCrash(`the machine is down: ${operation.kind} of ${operation.path || '.'} never happens`);
  }

  #faultFor(operation: Logged): Fault | undefined {
    const armed = this.#armed.find((candidate) => candidate.timesLeft > 0 && candidate.matches(operation));
    if (armed === undefined) return undefined;
    armed.hits++;
    armed.timesLeft--;
    return armed.fault;
  }

  #hopsOf(kind: OperationKind): number {
    const hops = kind === 'sync' || kind === 'syncDirectory' ? 8 : 1;
    return this.#jitter === undefined ? hops : hops + this.#jitter.below(12);
  }
}

/** A fault that the effect itself carries out. */
export type EffectFault = Exclude<Fault, 'crash' | 'crash-after'> | undefined;

function fittingFault(fault: EffectFault, kind: OperationKind): EffectFault {
  if (fault === 'short-write') return kind === 'write' ? fault : 'eio';
  if (fault === 'short-read') return kind === 'read' ? fault : 'eio';
  if (typeof fault === 'object') return kind === 'read' || kind === 'write' ? fault : 'eio';
  return fault;
}

export function isMutating(kind: OperationKind): boolean {
  return (mutatingKinds as readonly OperationKind[]).includes(kind);
}

/** Fails as the system call would, for the faults that are system errors. */
export function failWhenFaulty(fault: EffectFault, where: DiskOperation): void {
  if (fault === 'enospc') failAs('ENOSPC', 'no space left on the simulated disk', where);
  if (fault === 'eio') failAs('EIO', 'the simulated disk failed', where);
}

/** Throws the DiskError that stands for a system error. */
export function failAs(code: string, text: string, where: DiskOperation): never {
  throw diskErrorFrom(Object.assign(new Error(`${code}: ${text}`), { code }), where);
}
