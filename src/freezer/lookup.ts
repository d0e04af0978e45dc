/** What is asked of a freezer, and what becomes of it. */
import type { Cursor } from './cursor.ts';

export type Identifier = { readonly key: Uint8Array } | { readonly cursor: Cursor };

/** What became of one identifier. */
export type Lookup<V> =
  | { readonly kind: 'found'; readonly value: V; readonly cursor: Cursor }
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly error: Error };
