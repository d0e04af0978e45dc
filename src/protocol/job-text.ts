import { checkLimit, type ProtocolLimits } from './limits.ts';
import { ProtocolError } from './protocol-error.ts';

/**
 * The JSON value in a job's data as Redis keeps it. The size is checked before the text is parsed. Errors:
 * `limit-exceeded` (`jobBytesMax`), `malformed-json`. The parser's own message is dropped: it quotes the data.
 */
export function parseJobText(text: string, limits: ProtocolLimits): unknown {
  checkLimit(limits, 'jobBytesMax', Buffer.byteLength(text), 'message');
  try {
    return JSON.parse(text);
  } catch {
    throw new ProtocolError('malformed-json', 'message: not JSON', { details: { field: 'message' } });
  }
}
