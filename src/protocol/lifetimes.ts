/** How long a client's heartbeat counts. */
export const clientTtlMs = 60_000;
/** How often a client renews it. */
export const clientHeartbeatMs = 20_000;
/** A reply list disappears this long after the last message was pushed. */
export const replyListTtlMs = 3_600_000;
/** A reply list takes no more messages than this; further ones are dropped and counted. */
export const replyListCountMax = 10_000;
/** A shard whose worker has not renewed its lease for so long has no live worker. */
export const leaseTtlMs = 15_000;
/** A worker renews the leases of its shards this often, and notices by then that another one has taken them over. */
export const leaseRenewalMs = 2000;
