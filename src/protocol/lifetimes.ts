/** How long a client's heartbeat counts. */
export const clientTtlMs = 60_000;
/** How often a client renews it. */
export const clientHeartbeatMs = 20_000;
/** A reply list disappears this long after the last message was pushed. */
export const replyListTtlMs = 3_600_000;
/** A reply list takes no more messages than this; further ones are dropped and counted. */
export const replyListCountMax = 10_000;
