import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { commands } from '../../src/cli/commands.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { Client } from '../../src/client/client.ts';
import { storedKeyOf } from '../../src/protocol/record-key.ts';
import { homesOf, type Topology } from '../../src/protocol/topology.ts';
import { recordedTerminal } from '../cli/manual-terminal.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { WorkerProcess } from '../service/worker-process.ts';
import { checkFound, Load } from './load.ts';

/** Its client never looks at the topology by itself: it goes on putting by the one that it has read first. */
const forgetfulClock: Clock = {
  ...systemClock,
  after: (delayMs, fire) => (delayMs === 5000 ? { cancel: () => {} } : systemClock.after(delayMs, fire)),
};

suite('an archive that grows while it is used', () => {
  let server: RedisServer;
  let directory: string;
  const workers = new Map<number, WorkerProcess>();
  const clients: Client[] = [];

  before(async () => {
    server = await startRedis();
    directory = await mkdtemp(join(tmpdir(), 'permafrost-growth-'));
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await Promise.all([...workers.values()].map((worker) => worker.end('SIGKILL')));
    await server.stop();
    await rm(directory, { recursive: true });
  });

  function launch(shard: number): WorkerProcess {
    const worker = new WorkerProcess({
      PERMAFROST_REDIS_URL: server.url,
      PERMAFROST_DATA_DIR: join(directory, String(shard)),
      PERMAFROST_SHARD: String(shard),
      PERMAFROST_HTTP_PORT: '0',
      PERMAFROST_DISK_PAUSE_BELOW_BYTES: '0',
      PERMAFROST_ENGINE_TABLE_INITIAL_SIZE: '64',
      PERMAFROST_SYNC_INTERVAL_MS: '200',
      PERMAFROST_QUEUE_LOCK_DURATION_MS: '1000',
      PERMAFROST_QUEUE_STALLED_INTERVAL_MS: '200',
    });
    workers.set(shard, worker);
    return worker;
  }

  async function connect(clock: Clock = systemClock): Promise<Client> {
    const client = await Client.connect({ archive: 'main', redis: server.url }, { clock });
    clients.push(client);
    return client;
  }

  async function grow(shards: number): Promise<void> {
    const environment = { PERMAFROST_REDIS_URL: server.url };
    const terminal = {
      ...recordedTerminal(),
      environment,
      clock: systemClock,
      interrupted: new AbortController().signal,
    };
    const words = ['topology', 'grow', String(shards), '--wait', '30'];
    assert.equal(await dispatch(words, commands, '0', terminal), 0, terminal.notes.text);
  }

  /** Looks up all that was acknowledged, as long as `goOn`; while all shards are up everything must be found. */
  async function readOn(client: Client, loads: readonly Load[], goOn: () => boolean): Promise<void> {
    while (goOn()) {
      const expected = loads.flatMap((load) => load.expectations());
      const answers = await client.lookupMany(expected.map(({ key }) => key));
      for (const [index, expectation] of expected.entries()) checkFound(expectation, answers[index]);
    }
  }

  /** While this shard is down, what may be on it is unavailable, and the rest is found. */
  async function readWithout(shard: number, client: Client, topology: Topology, load: Load): Promise<void> {
    const expected = load.expectations();
    const answers = await client.lookupMany(
      expected.map(({ key }) => key),
      { timeoutMs: 1500 },
    );
    let unavailable = 0;
    for (const [index, expectation] of expected.entries()) {
      if (homesOf(topology, storedKeyOf(expectation.key)).includes(shard)) {
        assert.equal(answers[index]?.outcome, 'unavailable', expectation.key);
        unavailable += 1;
      } else checkFound(expectation, answers[index]);
    }
    assert.ok(unavailable > 0 && unavailable < expected.length);
    assert.equal(await client.lookup(absentKey(topology, shard)), undefined, 'what its other shards say is missing is');
  }

  test('loses nothing, finds everything, and says unavailable for a shard that is down', {
    timeout: 90_000,
  }, async () => {
    await Promise.all([0, 1].map((shard) => launch(shard).logged('worker-ready')));
    await grow(2);
    const [loyal, stale, reader] = [await connect(), await connect(forgetfulClock), await connect()];
    const loads = [new Load('loyal', loyal), new Load('stale', stale)];
    for (const load of loads) load.start();
    await Promise.all(loads.map((load) => load.acknowledged(150)));
    let isReading = true;
    const reading = readOn(reader, loads, () => isReading);

    for (const shard of [2, 3]) launch(shard);
    await grow(4);
    const { generations } = await loyal.topology();
    assert.deepEqual(
      generations.map(({ shards }) => shards),
      [2, 4],
    );
    await Promise.all(loads.map((load) => load.acknowledged(150)));
    isReading = false;
    await reading;

    await workers.get(1)?.end('SIGKILL');
    for (const load of loads) await readWithout(1, await connect(), { generations }, load);
    await launch(1).logged('worker-ready');
    isReading = true;
    const readingAgain = readOn(reader, loads, () => isReading);
    await Promise.all(loads.map((load) => load.acknowledged(150)));
    await Promise.all(loads.map((load) => load.stop()));
    isReading = false;
    await readingAgain;

    const places = loads.flatMap((load) => load.places());
    const shardsUsed = (load: Load | undefined): Set<string | undefined> =>
      new Set(load?.places().map(({ cursor }) => cursor.split(':')[0]));
    assert.deepEqual(shardsUsed(loads[0]), new Set(['0', '1', '2', '3']));
    assert.deepEqual(shardsUsed(loads[1]), new Set(['0', '1']), 'it has never heard of the others');
    for (const client of [stale, await connect()]) {
      let turns = 0;
      await readOn(client, loads, () => turns++ === 0);
      const answers = await client.lookupMany(places.map(({ cursor }) => ({ cursor })));
      for (const [index, { value }] of places.entries()) {
        const answer = answers[index];
        assert.equal(answer?.outcome === 'found' ? answer.value.toString() : answer?.outcome, value);
      }
    }
    for (const worker of workers.values()) assert.equal(await worker.end('SIGTERM'), 0);
  });
});

/** A key that nobody has put, and that could not be on this shard. */
function absentKey(topology: Topology, shard: number): string {
  for (let index = 0; ; index += 1) {
    const key = `absent/${index}`;
    if (!homesOf(topology, storedKeyOf(key)).includes(shard)) return key;
  }
}
