import type { Issued } from '../simulation/gate.ts';
import type { SimulatedDisk } from '../simulation/simulated-disk.ts';

const needsSpace: readonly Issued['kind'][] = ['write', 'create', 'makeDirectory', 'truncate', 'sync'];
/** Attempts that a full disk refuses before somebody makes room. */
const refusalsMax = 3;

/** A disk that is full from one of its operations on, until it was asked for space or opened a few times in vain. */
export class FullDisk {
  readonly #from: number;
  readonly #freed: () => void;
  #count = 0;
  #refusals = 0;
  #full = false;

  /** `freed` is told just before there is room again. */
  constructor(disk: SimulatedDisk, from: number, freed: () => void) {
    this.#from = from;
    this.#freed = freed;
    disk.failAt((operation) => this.#refuses(operation), 'enospc', Number.POSITIVE_INFINITY);
  }

  /** Whether it was full at some time. */
  get struck(): boolean {
    return this.#count >= this.#from;
  }

  /** Somebody tried in vain to go on. */
  refuse(): void {
    if (!this.#full || ++this.#refusals < refusalsMax) return;
    this.#freed();
    this.#full = false;
  }

  #refuses({ kind, path }: Issued): boolean {
    if (!needsSpace.includes(kind)) return false;
    if (++this.#count === this.#from) this.#full = true;
    if (!this.#full) return false;
    if (path === 'space-probe') this.refuse();
    return true;
  }
}
