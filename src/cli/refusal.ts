import { ClientError } from '../client/client-error.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';

/** Whether the records are the reason, not the surroundings: trying them again cannot help, and others may do well. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof ProtocolError) return true;
  return error instanceof ClientError && error.code === 'refused' && !error.retriable;
}
