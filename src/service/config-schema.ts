import { defaultLimits } from '../protocol/limits.ts';
import { shardCountMax } from '../protocol/names.ts';
import { engineDefaults } from '../shard/engine-settings.ts';
import {
  archiveName,
  clusterNodes,
  type Format,
  integerBetween,
  nonEmpty,
  powerOfTwoBetween,
  redisUrl,
  shardList,
  text,
  token,
} from './config-formats.ts';

/** One setting as convict wants it. The names of its environment variable and flag follow from its key. */
export interface Setting<T> {
  readonly default: T;
  readonly format: Format | readonly T[];
  readonly doc: string;
  readonly sensitive?: boolean;
}

function setting<T>(value: T, format: Format | readonly T[], doc: string): Setting<T> {
  return { default: value, format, doc };
}

function secret(doc: string, format: Format = text): Setting<string> {
  return { default: '', format, doc, sensitive: true };
}

const kib = 1024;
const mib = 1024 * kib;
const gib = 1024 * mib;
const dayS = 86_400;
const hourMs = 3_600_000;

/** Every setting there is. `config/default.json` repeats the defaults; a test compares the two. */
export const configSchema = {
  archive: setting('main', archiveName, 'Name of the archive: part of the queue names and Redis keys.'),
  shard: setting(0, integerBetween(0, shardCountMax - 1), 'Number of the shard that this worker owns.'),
  shards: setting('', shardList, 'Several shards of one worker in place of `shard`, as in 0-3 or 0,2,5.'),
  dataDir: setting('./data', nonEmpty, 'Directory of the shards; a shard lives in shard-0000, shard-0001, … below it.'),
  trustVolume: setting(false, [true, false], 'Go on with this volume although Redis knows another or a newer one.'),
  redis: {
    // It may hold a password: its value is in no error.
    url: {
      ...setting('redis://127.0.0.1:6379', redisUrl, 'Redis to take jobs from; rediss:// for TLS.'),
      sensitive: true,
    },
    clusterNodes: setting(
      '',
      clusterNodes,
      'Nodes of a Redis Cluster (host:port,host:port) in place of the host in the URL.',
    ),
    username: setting('', text, 'User name; replaces the one in the URL.'),
    password: secret('Password; replaces the one in the URL.'),
    passwordFile: setting('', text, 'File that holds the password, in place of redis.password.'),
    tlsCaFile: setting('', text, 'PEM file of the authority that signed the certificate of a rediss:// server.'),
    tlsCertFile: setting('', text, 'PEM file of our certificate, for a rediss:// server that asks for one.'),
    tlsKeyFile: setting('', text, 'PEM file of its key.'),
    tlsServerName: setting(
      '',
      text,
      'Name in the certificate of a rediss:// server, if it is not the host in the URL.',
    ),
    startTimeoutMs: setting(
      10_000,
      integerBetween(100, hourMs),
      'How long to wait for Redis at start before giving up.',
    ),
  },
  http: {
    host: setting(
      '127.0.0.1',
      nonEmpty,
      'Address of /metrics, /healthz, /readyz and the status page; 0.0.0.0 in a container.',
    ),
    port: setting(8410, integerBetween(0, 65_535), 'Port of it; 0 takes a free one.'),
    statusPage: setting(true, [true, false], 'Whether there is a page for people at /, with its data in /status.json.'),
    token: secret('Bearer token that /metrics asks for; empty: none. Health is for probes and needs none.', token),
    tokenFile: setting('', text, 'File that holds the token, in place of http.token.'),
  },
  commit: {
    delayMs: setting(10, integerBetween(0, 10_000), 'How long a put may wait for others to share its commit.'),
    bytesMax: setting(8 * mib, integerBetween(kib, gib), 'A commit starts at once when so many bytes wait.'),
    recordsMax: setting(10_000, integerBetween(1, 1_000_000), 'A commit starts at once when so many records wait.'),
  },
  sync: {
    intervalMs: setting(10_000, integerBetween(10, 24 * hourMs), 'Time between two checkpoints.'),
  },
  put: {
    concurrency: setting(256, integerBetween(1, 1024), 'Put jobs in hand at once; 128 to 256 is measured best.'),
    bytesMax: setting(8 * mib, integerBetween(kib, gib), 'Bytes of the put jobs in hand, about.'),
  },
  lookup: {
    concurrency: setting(16, integerBetween(1, 256), 'Lookup jobs in hand at once; 8 to 16 is measured best.'),
  },
  limits: {
    recordCountMax: setting(defaultLimits.recordCountMax, integerBetween(1, 100_000), 'Records of a put job.'),
    keyBytesMax: setting(defaultLimits.keyBytesMax, integerBetween(1, mib), 'Bytes of a key in UTF-8.'),
    valueBytesMax: setting(defaultLimits.valueBytesMax, integerBetween(1, 128 * mib), 'Bytes of a value.'),
    jobBytesMax: setting(defaultLimits.jobBytesMax, integerBetween(kib, 256 * mib), "Bytes of a job's JSON."),
    lookupCountMax: setting(
      defaultLimits.lookupCountMax,
      integerBetween(1, 100_000),
      'Keys and cursors of a lookup job.',
    ),
    replyBytesMax: setting(defaultLimits.replyBytesMax, integerBetween(kib, gib), 'Bytes of all values of a reply.'),
    idLengthMax: setting(defaultLimits.idLengthMax, integerBetween(1, 1024), "Characters of a job's id."),
  },
  queue: {
    lockDurationMs: setting(20_000, integerBetween(1000, hourMs), 'How long a job stays ours without renewal.'),
    stalledIntervalMs: setting(5000, integerBetween(100, hourMs), 'Time between two looks for jobs whose worker died.'),
    failedCountMax: setting(10_000, integerBetween(0, 1_000_000), 'Refused jobs that are kept with their reason.'),
    failedAgeMaxS: setting(14 * dayS, integerBetween(60, 365 * dayS), 'How long they are kept.'),
    eventsMax: setting(100, integerBetween(0, 100_000), "Entries of each queue's event stream."),
    replyQueuesMax: setting(1000, integerBetween(1, 100_000), 'Reply queues that are kept open.'),
    janitorIntervalMs: setting(
      60_000,
      integerBetween(100, 24 * hourMs),
      'Time between two looks for reply queues of dead clients.',
    ),
    clientSilenceMaxMs: setting(
      600_000,
      integerBetween(100, 24 * hourMs),
      'After such a silence a reply queue is removed.',
    ),
  },
  engine: {
    pageSize: setting(engineDefaults.pageSize, integerBetween(64, 65_535), 'Data bytes of a page of the key index.'),
    compressionLevel: setting(0, integerBetween(0, 22), 'zstd level of stored values; 0 stores them as they are.'),
    pageCachePages: setting(engineDefaults.pageCachePages, integerBetween(1, 2 ** 22), 'Pages of it kept in memory.'),
    keyWriteBuffer: setting(engineDefaults.keyWriteBuffer, integerBetween(kib, gib), 'Bytes that keys collect in.'),
    valueWriteBuffer: setting(
      engineDefaults.valueWriteBuffer,
      integerBetween(kib, gib),
      'Bytes that values collect in.',
    ),
    valueTargetSize: setting(
      engineDefaults.valueTargetSize,
      integerBetween(kib, 2 ** 40),
      'Bytes that fill a section.',
    ),
    tableInitialSize: setting(
      engineDefaults.tableInitialSize,
      powerOfTwoBetween(1, 2 ** 30),
      'Buckets of a new table.',
    ),
    tableResizeFrequency: setting(
      engineDefaults.tableResizeFrequency,
      integerBetween(1, 254),
      'Puts in a bucket that make it worth resizing.',
    ),
    tableResizeChunkSize: setting(
      engineDefaults.tableResizeChunkSize,
      integerBetween(1, 2 ** 24),
      'Buckets that one sync resizes.',
    ),
    tableReplayBuffer: setting(
      engineDefaults.tableReplayBuffer,
      integerBetween(kib, gib),
      'Bytes a scan reads at once.',
    ),
    tableChangesMax: setting(
      engineDefaults.tableChangesMax,
      integerBetween(1, 2 ** 26),
      'Changed buckets kept in memory between two checkpoints.',
    ),
  },
  disk: {
    pauseBelowBytes: setting(512 * mib, integerBetween(0, 2 ** 50), 'Puts pause when less is free.'),
    resumeAboveBytes: setting(768 * mib, integerBetween(0, 2 ** 50), 'Puts resume when more is free.'),
    checkIntervalMs: setting(5000, integerBetween(10, hourMs), 'Time between two looks at the free space.'),
  },
  scrub: {
    intervalS: setting(
      7 * dayS,
      integerBetween(0, 365 * dayS),
      'Time between two scrubs: sealed sections are read again, checked against their checksums. 0 for none.',
    ),
    bytesPerS: setting(8 * mib, integerBetween(kib, 2 ** 40), 'Bytes that a scrub reads in a second.'),
  },
  closeDeadlineMs: setting(
    25_000,
    integerBetween(100, hourMs),
    'After SIGTERM the process ends before so long, Redis there or not.',
  ),
  log: {
    level: setting<'debug' | 'info' | 'warn' | 'error' | 'silent'>(
      'info',
      ['debug', 'info', 'warn', 'error', 'silent'],
      'Least level that is written.',
    ),
  },
};

type Values<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : Values<S[K]> };

/** The settings of a process, all checked. `redis.password` and `http.token` are the secrets beside the URL's own. */
export type Config = Values<typeof configSchema>;
