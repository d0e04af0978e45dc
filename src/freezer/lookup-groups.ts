/**
 * Makes groups of lookups that wait for the disk: what is asked for in the same turn is looked up together, so that one
 * list of reads serves all of them and a page that several need is read once.
 */
import { present } from '../base/assert.ts';
import { BlobError } from '../blob/blob-error.ts';
import { DiskError } from '../disk/disk-error.ts';
import type { Identifier, Lookup } from './lookup.ts';

/** Identifiers of a group: enough to share the cost of a turn, few enough that several are under way. */
const groupMax = 32;

interface Group<V> {
  readonly identifiers: Identifier[];
  readonly lookups: Promise<readonly Lookup<V>[]>;
  readonly start: () => void;
}

export class LookupGroups<V> {
  readonly #lookUp: (identifiers: readonly Identifier[]) => Promise<readonly Lookup<V>[]>;
  #forming: Group<V> | undefined;

  constructor(lookUp: (identifiers: readonly Identifier[]) => Promise<readonly Lookup<V>[]>) {
    this.#lookUp = lookUp;
  }

  async lookup(identifier: Identifier): Promise<Lookup<V>> {
    const group = this.#groupWithRoom();
    const at = group.identifiers.push(identifier) - 1;
    return present((await group.lookups)[at], 'an outcome');
  }

  #groupWithRoom(): Group<V> {
    const forming = this.#forming;
    if (forming !== undefined && forming.identifiers.length < groupMax) return forming;
    forming?.start();
    return this.#form();
  }

  #form(): Group<V> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Lookup<V>[]>();
    const identifiers: Identifier[] = [];
    let isStarted = false;
    const start = (): void => {
      if (isStarted) return;
      isStarted = true;
      if (this.#forming === group) this.#forming = undefined;
      this.#together(identifiers).then(resolve, reject);
    };
    const group = { identifiers, lookups: promise, start };
    this.#forming = group;
    process.nextTick(start);
    return group;
  }

  /** A disk that fails one of several fails it alone: each is tried by itself then. */
  async #together(identifiers: readonly Identifier[]): Promise<readonly Lookup<V>[]> {
    try {
      return await this.#lookUp(identifiers);
    } catch (error) {
      if (!(error instanceof DiskError || error instanceof BlobError)) throw error;
      if (identifiers.length === 1) return [{ kind: 'failed', error }];
      return (await Promise.all(identifiers.map((identifier) => this.#together([identifier])))).flat();
    }
  }
}
