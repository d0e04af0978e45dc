import { protocolVersion, readField, refused } from './fields.ts';

/**
 * What a shard says in Redis after a sync: everything up to this checkpoint is on disk and indexed.
 *
 * It travels as the fields of a Redis hash, and of an entry of a stream: all values are text.
 */
export interface CheckpointNotice {
  /** Which volume it is about; given once, when the shard is created. */
  readonly instance: string;
  /** Number of the sync interval that the checkpoint ends. Rises; the newest notice wins. */
  readonly epoch: number;
  /** The checkpoint itself; its first eight bytes are the epoch. */
  readonly checkpoint: Buffer;
  /** Number of the last commit that it covers. */
  readonly commit?: number | undefined;
  /** Records in the archive of this shard, all versions. */
  readonly records?: number | undefined;
  /** When it was made, in milliseconds since the Unix epoch. */
  readonly time: number;
}

export type CheckpointNoticeWire = Readonly<Record<'v' | 'instance' | 'epoch' | 'checkpoint' | 'time', string>> &
  Readonly<Partial<Record<'commit' | 'records', string>>>;

const checkpointSize = 28;

const instancePattern = /^[A-Za-z0-9-]{1,64}$/;
const countPattern = /^(?:0|[1-9][0-9]{0,15})$/;
const checkpointPattern = /^[0-9a-f]{56}$/;

export function encodeCheckpointNotice(notice: CheckpointNotice): CheckpointNoticeWire {
  return {
    v: String(protocolVersion),
    instance: notice.instance,
    epoch: String(notice.epoch),
    checkpoint: notice.checkpoint.toString('hex'),
    ...(notice.commit === undefined ? {} : { commit: String(notice.commit) }),
    ...(notice.records === undefined ? {} : { records: String(notice.records) }),
    time: String(notice.time),
  };
}

/** The notice in a hash's fields; `undefined` if there are none, as for a key that does not exist. Errors: ProtocolError. */
export function decodeCheckpointNotice(fields: Readonly<Record<string, string>>): CheckpointNotice | undefined {
  if (Object.keys(fields).length === 0) return undefined;
  const version = readText(fields, 'v');
  if (version !== String(protocolVersion)) throw refused('unsupported-version', 'v', `not ${protocolVersion}`);
  const instance = readText(fields, 'instance');
  if (!instancePattern.test(instance)) throw refused('invalid-field', 'instance', 'not an instance id');
  const epoch = readNumber(fields, 'epoch');
  const checkpoint = readCheckpoint(fields, epoch);
  return {
    ...{ instance, epoch, checkpoint },
    commit: readOptionalNumber(fields, 'commit'),
    records: readOptionalNumber(fields, 'records'),
    time: readNumber(fields, 'time'),
  };
}

function readCheckpoint(fields: Readonly<Record<string, string>>, epoch: number): Buffer {
  const text = readText(fields, 'checkpoint');
  if (!checkpointPattern.test(text)) {
    throw refused('invalid-field', 'checkpoint', `not ${checkpointSize * 2} lower-case hexadecimal digits`);
  }
  const checkpoint = Buffer.from(text, 'hex');
  if (checkpoint.readBigUInt64BE(0) === BigInt(epoch)) return checkpoint;
  throw refused('invalid-field', 'epoch', 'not the epoch of the checkpoint');
}

function readText(fields: Readonly<Record<string, string>>, name: string): string {
  const value = readField(fields, name);
  if (typeof value === 'string') return value;
  throw refused('missing-field', name, 'missing');
}

function readOptionalNumber(fields: Readonly<Record<string, string>>, name: string): number | undefined {
  return readField(fields, name) === undefined ? undefined : readNumber(fields, name);
}

function readNumber(fields: Readonly<Record<string, string>>, name: string): number {
  const text = readText(fields, name);
  const value = Number(text);
  if (countPattern.test(text) && Number.isSafeInteger(value)) return value;
  throw refused('invalid-field', name, 'not a whole number from 0 to 2^53 - 1');
}
