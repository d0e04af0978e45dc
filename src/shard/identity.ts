/**
 * Who a shard directory is: written once, when the shard is created, and compared at every opening.
 *
 * A JSON file, for people too. The checksum covers the compact JSON of all other members, so a flipped bit is damage and
 * never another identity. The engine's parameters are part of the format: opened with others, a store would look empty.
 */
import type { Disk } from '../disk/disk.ts';
import {
  type DocumentFormat,
  type DocumentMembers,
  decodeDocument,
  encodeDocument,
  isObject,
} from './checked-document.ts';
import { readWhole, replaceFile } from './replace-file.ts';
import { damaged, ShardError } from './shard-error.ts';

export const identityFile = 'identity.json';
const formatVersion = 1;

/** Parameters that are the same for the life of a shard. Sizes are bytes. */
export interface EngineParameters {
  readonly keySize: number;
  readonly pageSize: number;
  /** Whether the engine compresses values. */
  readonly compression: boolean;
}

/** What the configuration says about the shard. */
export interface ExpectedIdentity {
  readonly archive: string;
  readonly shard: number;
  readonly engine: EngineParameters;
}

export interface Identity extends ExpectedIdentity {
  /** Random UUID: tells this volume from any other one, also of the same archive and shard. */
  readonly instance: string;
  /** Time of creation, ISO 8601. */
  readonly created: string;
}

export async function writeIdentity(disk: Disk, identity: Identity): Promise<void> {
  await replaceFile(disk, identityFile, encodeDocument(formatVersion, documentOf(identity)));
}

/** The identity, or undefined when the file is missing; an unknown version or a damaged file is a refusal. */
export async function readIdentity(disk: Disk): Promise<Identity | undefined> {
  const bytes = await readWhole(disk, identityFile);
  return bytes === undefined ? undefined : parse(bytes);
}

/** Refuses with `identity-mismatch` when the directory is not the one that the configuration means. */
export function requireIdentity(found: Identity, expected: ExpectedIdentity): void {
  const differences = [
    difference('archive', found.archive, expected.archive),
    difference('shard', found.shard, expected.shard),
    difference('key size', found.engine.keySize, expected.engine.keySize),
    difference('page size', found.engine.pageSize, expected.engine.pageSize),
    difference('compression', found.engine.compression, expected.engine.compression),
  ].filter((text) => text !== undefined);
  if (differences.length === 0) return;
  const message = `${identityFile}: this directory is not the configured shard: ${differences.join(', ')}; nothing was changed; correct the configuration or the data directory`;
  throw new ShardError('identity-mismatch', message, {
    details: {
      foundArchive: found.archive,
      foundShard: found.shard,
      expectedArchive: expected.archive,
      expectedShard: expected.shard,
    },
  });
}

function difference(
  name: string,
  found: string | number | boolean,
  expected: string | number | boolean,
): string | undefined {
  return found === expected ? undefined : `${name} found ${found}, expected ${expected}`;
}

/** The members in the order of the file, and no others. */
function documentOf(identity: Identity): Identity {
  const { archive, shard, instance, engine, created } = identity;
  const { keySize, pageSize, compression } = engine;
  return { archive, shard, instance, engine: { keySize, pageSize, compression }, created };
}

const documentFormat: DocumentFormat = {
  version: formatVersion,
  damaged: (finding, cause) => {
    throw damaged(identityFile, finding, cause);
  },
  unknownVersion: (found) => {
    const message = `${identityFile}: format ${found} found, ${formatVersion} expected; use the version that wrote it`;
    throw new ShardError('version-unknown', message, {
      details: { path: identityFile, found, expected: formatVersion },
    });
  },
};

function parse(bytes: Buffer): Identity {
  const members = decodeDocument(bytes, documentFormat);
  if (!isIdentity(members)) throw damaged(identityFile, 'members are missing or have another type');
  return documentOf(members);
}

/** Whether the members are those of an identity; a backup carries them too. */
export function isIdentity(value: DocumentMembers): value is DocumentMembers & Identity {
  const engine = value.engine;
  return (
    typeof value.archive === 'string' &&
    typeof value.shard === 'number' &&
    typeof value.instance === 'string' &&
    typeof value.created === 'string' &&
    isObject(engine) &&
    typeof engine.keySize === 'number' &&
    typeof engine.pageSize === 'number' &&
    typeof engine.compression === 'boolean'
  );
}
