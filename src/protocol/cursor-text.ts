import { shardCountMax } from './names.ts';
import { ProtocolError } from './protocol-error.ts';

/** Place of a record, as it travels: the shard, and twenty bytes that only the shard reads. */
export interface CursorText {
  readonly shard: number;
  readonly bytes: Buffer;
}

const cursorBytes = 20;
const pattern = /^(0|[1-9][0-9]{0,3}):([0-9a-f]{40})$/;

/** `<shard>:<40 hexadecimal digits>`. */
export function formatCursor(shard: number, bytes: Uint8Array): string {
  return `${shard}:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;
}

/** The cursor in `<shard>:<40 lower-case hexadecimal digits>`; anything else is a ProtocolError `invalid-cursor`. */
export function parseCursor(text: unknown, field = 'cursor'): CursorText {
  const match = typeof text === 'string' ? pattern.exec(text) : null;
  const shard = Number(match?.[1]);
  if (match?.[2] === undefined || shard >= shardCountMax) {
    const form = `<shard>:<${cursorBytes * 2} lower-case hexadecimal digits>`;
    throw new ProtocolError('invalid-cursor', `${field}: not a cursor, which is ${form}`, { details: { field } });
  }
  return { shard, bytes: Buffer.from(match[2], 'hex') };
}
