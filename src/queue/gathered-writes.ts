import { Cluster, type Redis } from 'ioredis';
import type { RedisConnection } from './connection.ts';

/**
 * Has what one turn of the event loop sends leave the connection in one write.
 *
 * ioredis writes each command by itself: a system call for us, and one more read for Redis, which is then woken for each.
 * A commit settles its jobs together, so that their completions and receipts are sent in one turn. What is sent leaves at
 * the end of that turn, before anything else is waited for: nothing is held back.
 */
export function gatherWrites<C extends RedisConnection>(connection: C): C {
  // The connections to the nodes of a cluster come and go.
  if (connection instanceof Cluster) connection.on('+node', gatherOf);
  else gatherOf(connection);
  return connection;
}

function gatherOf(redis: Redis): void {
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream): unknown => {
    const { stream: socket } = redis;
    // There is none before the first attempt to connect.
    if (socket?.writable && socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    return send(command, stream);
  };
}
