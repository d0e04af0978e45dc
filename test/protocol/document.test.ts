import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { decodeCheckpointNotice, encodeCheckpointNotice } from '../../src/protocol/checkpoint-notice.ts';
import {
  clientHeartbeatMs,
  clientTtlMs,
  leaseRenewalMs,
  leaseTtlMs,
  replyListCountMax,
  replyListTtlMs,
} from '../../src/protocol/lifetimes.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { decodeLookupJob, encodeLookupJob, lookupDeadlineMs } from '../../src/protocol/lookup-job.ts';
import * as names from '../../src/protocol/names.ts';
import { protocolErrorCodes, refusalCodes } from '../../src/protocol/protocol-error.ts';
import { decodePutJob, encodePutJob, type RecordWire } from '../../src/protocol/put-job.ts';
import { decodeReceipts, encodeReceipts, putOutcomes } from '../../src/protocol/receipts.ts';
import { shardOf, storedKeyOf } from '../../src/protocol/record-key.ts';
import { decodeReply, encodeReply, lookupOutcomes, partBytes } from '../../src/protocol/reply.ts';
import { decodeTopology, encodeTopology, generationCountMax, homesOf } from '../../src/protocol/topology.ts';
import { type SchemaName, schema, schemaNames } from './schemas.ts';

const text = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');
const blocks = [...text.matchAll(/^```json *(\S*)\n(.*?)^```$/gms)].map(([, kind = '', json = '']) => {
  return { kind, value: JSON.parse(json) as unknown };
});

/** Decodes and encodes: what comes out must be what went in, but for fields that are default. */
const roundTrips: Readonly<Record<SchemaName, (value: unknown) => unknown>> = {
  'put-job': (value) => {
    const records = (value as { readonly records: readonly RecordWire[] }).records;
    return encodePutJob({ ...decodePutJob(value, defaultLimits), records });
  },
  'lookup-job': (value) => {
    const job = decodeLookupJob(value, defaultLimits);
    return encodeLookupJob({
      ...job,
      keys: job.keys.map(({ key }) => key),
      cursors: job.cursors.map(({ text }) => text),
    });
  },
  reply: (value) => encodeReply(decodeReply(value)),
  receipts: (value) => encodeReceipts(decodeReceipts(value)),
  'checkpoint-notice': (value) => {
    const notice = decodeCheckpointNotice(value as Readonly<Record<string, string>>);
    assert.ok(notice);
    return encodeCheckpointNotice(notice);
  },
  topology: (value) => encodeTopology(decodeTopology(value)),
};

/** Rows of the table whose header starts with these words: the cells, without code marks. */
function table(...header: readonly string[]): readonly (readonly string[])[] {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${header.join(' | ')} |`));
  assert.ok(start >= 0, `there is no table ${header.join(', ')}`);
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'));
  return lines.slice(start + 2, start + length).map((line) => {
    return line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', ''));
  });
}

function firstCells(...header: readonly string[]): readonly string[] {
  return table(...header).map(([first]) => first ?? '');
}

describe('each example in PROTOCOL.md', () => {
  for (const [index, { kind, value }] of blocks.entries()) {
    if (kind === 'vectors') continue;
    it(`is what schema and code say (block ${index}: ${kind})`, () => {
      const name = schemaNames.find((candidate) => candidate === kind);
      assert.ok(name, `no schema is named ${kind}`);
      const validate = schema(name);
      assert.ok(validate(value), JSON.stringify(validate.errors));
      assert.deepEqual(roundTrips[name](value), value);
    });
  }

  it('has all kinds of messages among them', () => {
    assert.deepEqual(new Set(blocks.map(({ kind }) => kind)), new Set([...schemaNames, 'vectors']));
  });

  it('gives the stored keys and shards that the code gives', () => {
    const vectors = blocks.flatMap(({ kind, value }) => (kind === 'vectors' ? (value as Vector[]) : []));
    assert.ok(vectors.length > 0);
    for (const vector of vectors) {
      const stored = storedKeyOf(vector.key);
      assert.deepEqual([stored.toString('hex'), crc32(stored)], [vector.storedKey, vector.crc32]);
      for (const [count, shard] of Object.entries(vector.shards)) assert.equal(shardOf(stored, Number(count)), shard);
      for (const [counts, homes] of Object.entries(vector.homes)) {
        const generations = counts.split(',').map((count) => ({ shards: Number(count), time: 0 }));
        assert.deepEqual(homesOf({ generations }, stored), homes, counts);
      }
    }
  });
});

interface Vector {
  readonly key: string;
  readonly storedKey: string;
  readonly crc32: number;
  readonly shards: Readonly<Record<string, number>>;
  readonly homes: Readonly<Record<string, readonly number[]>>;
}

describe('PROTOCOL.md', () => {
  it('lists every name in Redis as the code makes it', () => {
    const archive = names.parseArchiveName('a');
    const client = names.parseClientId('c');
    const made = [
      ...[names.putQueueName(archive, 0), names.lookupQueueName(archive, 0), names.replyQueueName(archive, client)],
      ...[names.replyListKey(archive, client), names.heartbeatKey(archive, client), names.checkpointKey(archive, 0)],
      ...[names.checkpointsKey(archive, 0), names.leaseKey(archive, 0), names.topologyKey(archive)],
    ];
    const told = table('What', 'Name').map(([, name = '']) => {
      return name
        .replace('queue ', '')
        .replace('<archive>', 'a')
        .replace('<shard>', '0')
        .replace(/<client>|<list>/, 'c');
    });
    assert.deepEqual(told, made);
  });

  it('lists every limit with its default', () => {
    const told = table('Name', 'Default', 'Counts').map(([name, value]) => [name, Number(value)]);
    assert.deepEqual(Object.fromEntries(told), defaultLimits);
  });

  it('lists every error code and every outcome', () => {
    assert.deepEqual(firstCells('Code', 'Meaning'), [...protocolErrorCodes, ...refusalCodes]);
    assert.deepEqual(firstCells('Outcome', 'The record'), putOutcomes);
    assert.deepEqual(firstCells('Outcome', 'The answer'), lookupOutcomes);
  });

  it('gives the numbers that the code has', () => {
    for (const [sentence, number] of [
      [`heartbeat 1 PX ${clientTtlMs}`, 60_000],
      [`again every ${clientHeartbeatMs / 1000} seconds`, 20],
      [`time stamp and ${lookupDeadlineMs / 1000} seconds`, 30],
      ['expires one hour after the last push', replyListTtlMs / 3_600_000],
      [`no more than ${replyListCountMax.toLocaleString('en')} messages`, 10_000],
      [`about ${partBytes / 1024} KiB`, 256],
      [`no more than ${generationCountMax} generations`, 64],
      [`again every ${leaseRenewalMs / 1000} seconds`, 2],
      [`${leaseTtlMs / 1000} seconds after the last renewal`, 15],
      [`1 to ${names.archiveNameLengthMax} of`, 40],
      [`1 to ${names.clientIdLengthMax} of`, 64],
    ] as const) {
      assert.ok(text.includes(sentence), `"${sentence}" is not there (${number})`);
    }
  });
});
