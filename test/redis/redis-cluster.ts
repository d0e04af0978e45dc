import { Redis } from 'ioredis';
import { freePort } from '../../src/cli/private-redis.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

/** A real Redis Cluster for one test file: masters alone, the slots divided among them. */
export interface RedisCluster {
  readonly servers: readonly RedisServer[];
  /** Of all masters, as settings name them: `host:port,host:port`. */
  readonly nodes: string;
  /** Index of the master that holds a key. */
  masterOf(key: string): Promise<number>;
  /** Resolves when all masters say that the cluster is whole. */
  whole(): Promise<void>;
  /** Resolves when another master than this one says that it is not. */
  brokenWithout(master: number): Promise<void>;
  stop(): Promise<void>;
}

const slotCount = 16_384;
const host = '127.0.0.1';

/** Starts so many masters and resolves when they are a cluster. */
export async function startCluster(masterCount: number): Promise<RedisCluster> {
  const busPorts = await Promise.all(Array.from({ length: masterCount }, () => freePort(0)));
  const servers = await Promise.all(busPorts.map((port) => startRedis({ appendOnly: 'always', args: nodeArgs(port) })));
  const connections = servers.map(({ url }) =>
    quiet(new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null })),
  );
  const cluster: RedisCluster = {
    servers,
    nodes: servers.map(({ port }) => `${host}:${port}`).join(','),
    async masterOf(key) {
      const slot = Number(await connections[0]?.call('CLUSTER', 'KEYSLOT', key));
      return Math.floor((slot * masterCount) / slotCount);
    },
    async whole() {
      for (const connection of connections) while (!(await isWhole(connection))) await nextTurn();
    },
    async brokenWithout(master) {
      const [other] = connections.filter((_, index) => index !== master);
      while (other !== undefined && (await isWhole(other))) await nextTurn();
    },
    async stop() {
      for (const connection of connections) connection.disconnect();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
  for (const [index, connection] of connections.entries()) {
    const first = Math.ceil((index * slotCount) / masterCount);
    const last = Math.ceil(((index + 1) * slotCount) / masterCount) - 1;
    await connection.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    await connection.call('CLUSTER', 'ADDSLOTSRANGE', String(first), String(last));
    const known = servers[0];
    if (index > 0 && known !== undefined)
      await connection.call('CLUSTER', 'MEET', host, String(known.port), String(busPorts[0]));
  }
  await cluster.whole();
  return cluster;
}

async function isWhole(master: Redis): Promise<boolean> {
  return /cluster_state:ok/.test(String(await master.call('CLUSTER', 'INFO')));
}

function nodeArgs(busPort: number): readonly string[] {
  return ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '1000'];
}

function quiet(redis: Redis): Redis {
  return redis.on('error', () => {});
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
