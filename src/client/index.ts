// biome-ignore-all assist/source/organizeImports: ordered as a reader meets the things
/** The door of producers and readers, and the wire contract for those who speak it themselves. */
export { Client } from './client.ts';
export type { ClientDependencies, ClientOptions, RedisAddress, RedisClusterAddress } from './settings.ts';
export type { WaitOptions } from './call.ts';
export type { ClientRecord } from './record.ts';
export type { PutOptions, PutReceipt, RecordReceipt } from './puts.ts';
export type { PutManyOptions, PutManySummary, StoredRecord } from './put-many.ts';
export type { FoundRecord, LookupAnswer, LookupOptions, LookupTarget } from './lookups.ts';
export { ClientError, type ClientErrorCode } from './client-error.ts';
export { PermafrostError } from '../base/errors.ts';

export { defaultLimits, type LimitName, type ProtocolLimits } from '../protocol/limits.ts';
export { ProtocolError, type ProtocolErrorCode, type RefusalCode, type WireError } from '../protocol/protocol-error.ts';
export { type ArchiveName, isArchiveName, parseArchiveName } from '../protocol/names.ts';
export { type ClientId, isClientId, parseClientId } from '../protocol/names.ts';
export { lookupQueueName, putQueueName, queuePrefix, replyQueueName } from '../protocol/names.ts';
export { checkpointKey, checkpointsKey, heartbeatKey, replyListKey, topologyKey } from '../protocol/names.ts';
export { shardOf, storedKeyOf } from '../protocol/record-key.ts';
export { type Generation, homesOf, parseTopology, shardCountOf, type Topology } from '../protocol/topology.ts';
export { type CursorText, formatCursor, parseCursor } from '../protocol/cursor-text.ts';
export { encodePutJob, type IfExists, type PutWire, type RecordWire } from '../protocol/put-job.ts';
export { encodeLookupJob, type LookupWire, lookupDeadlineMs } from '../protocol/lookup-job.ts';
export { decodeReplyMessage, type ReplyMessage } from '../protocol/reply-message.ts';
export type { LookupOutcome, LookupResult, Reply } from '../protocol/reply.ts';
export type { PutOutcome, Receipt, ReceiptRecord, Refused, Stored } from '../protocol/receipts.ts';
export { type CheckpointNotice, decodeCheckpointNotice } from '../protocol/checkpoint-notice.ts';
