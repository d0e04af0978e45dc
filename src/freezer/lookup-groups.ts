/**
 * Makes groups of lookups: what is asked for in the same turn by many callers is looked up together, and what one caller
 * asks for in large numbers goes in several groups, so that one is worked on while the disk reads for another.
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

  /** One outcome for each identifier, in their order. */
  async lookupMany(identifiers: readonly Identifier[]): Promise<readonly Lookup<V>[]> {
    if (identifiers.length <= groupMax) return this.#join(identifiers);
    const parts: Promise<readonly Lookup<V>[]>[] = [];
    const size = Math.ceil(identifiers.length / Math.ceil(identifiers.length / groupMax));
    for (let at = 0; at < identifiers.length; at += size) {
      parts.push(this.#together(identifiers.slice(at, at + size)));
    }
    return (await Promise.all(parts)).flat();
  }

  async lookup(identifier: Identifier): Promise<Lookup<V>> {
    const group = this.#groupWithRoom(1);
    const at = group.identifiers.push(identifier) - 1;
    return present((await group.lookups)[at], 'an outcome');
  }

  async #join(identifiers: readonly Identifier[]): Promise<readonly Lookup<V>[]> {
    const group = this.#groupWithRoom(identifiers.length);
    const at = group.identifiers.length;
    group.identifiers.push(...identifiers);
    const lookups = await group.lookups;
    return lookups.slice(at, at + identifiers.length);
  }

  #groupWithRoom(count: number): Group<V> {
    const forming = this.#forming;
    if (forming !== undefined && forming.identifiers.length + count <= groupMax) return forming;
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
      if (identifiers.length === 1) throw error;
      return Promise.all(identifiers.map((identifier) => this.#alone(identifier)));
    }
  }

  async #alone(identifier: Identifier): Promise<Lookup<V>> {
    try {
      const [lookup] = await this.#lookUp([identifier]);
      return present(lookup, 'an outcome');
    } catch (error) {
      if (!(error instanceof DiskError || error instanceof BlobError)) throw error;
      return { kind: 'failed', error };
    }
  }
}
