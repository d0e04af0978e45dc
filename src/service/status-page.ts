/**
 * The page for people: `/` is one HTML file, the same for every worker, and holds no data; what it shows it fetches from
 * `/status.json`. Neither ever holds a key or a value.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Health } from './health.ts';
import type { HttpPage } from './http.ts';
import type { History } from './shard-history.ts';

/** A shard, for people. Ages are `null` when there is nothing that could have one. */
export interface ShardView {
  readonly shard: number;
  /** `starting` before it is open; else the state of the shard. */
  readonly state: string;
  /** Why it is not ready; why puts are not fetched. */
  readonly reasons: readonly string[];
  readonly pauses: readonly string[];
  /** Code of the last failure of the disk, though it may be over. */
  readonly lastFailure: string | null;
  readonly epoch: number;
  readonly checkpointAgeS: number | null;
  readonly publishedEpoch: number | null;
  readonly unsyncedAgeS: number;
  readonly uncommittedPuts: number;
  readonly uncommittedAgeS: number;
  readonly records: number;
  readonly tableBuckets: number | null;
  readonly recoveryS: number;
  readonly waitingPuts: number | null;
  readonly waitingLookups: number | null;
  readonly refusedJobs: number | null;
  /** Damage that lookups and scrubs met since the start. */
  readonly damageMet: number;
  readonly history: History;
}

/** What `/status.json` holds. */
export interface WorkerView extends Pick<Health, 'archive' | 'reasons' | 'warnings'> {
  readonly version: string;
  /** Wall clock, in milliseconds. */
  readonly time: number;
  readonly uptimeS: number;
  readonly redisReachable: boolean;
  readonly disk: { readonly freeBytes: number; readonly sizeBytes: number; readonly low: boolean } | null;
  readonly sampleIntervalS: number;
  /** So many samples at most are in a history; the newest is the last. */
  readonly sampleCountMax: number;
  readonly shards: readonly ShardView[];
}

const file = new URL('../../web/status.html', import.meta.url);

/**
 * `/`: the page, open to everyone since there is nothing in it: it asks for the token itself. Its own script and style may
 * run, by their hashes, and nothing else; it talks to its own server only.
 */
export function statusPage(): HttpPage {
  const html = readFileSync(file, 'utf8');
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(html, 'script')}`,
    `style-src ${hashOf(html, 'style')}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return {
    contentType: 'text/html; charset=utf-8',
    isOpen: true,
    headers: { 'content-security-policy': policy, 'cross-origin-opener-policy': 'same-origin' },
    body: async () => ({ status: 200, text: html }),
  };
}

/** `/status.json`: what the page shows. */
export function statusData(view: () => Promise<WorkerView>): HttpPage {
  return {
    contentType: 'application/json',
    body: async () => ({ status: 200, text: `${JSON.stringify(await view())}\n` }),
  };
}

function hashOf(html: string, element: 'script' | 'style'): string {
  const [, text = ''] = new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(html) ?? [];
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
