/** Archives records from TypeScript, one and many, and reads them again. Run it beside a worker: `node put-and-get.ts`. */
import { Client, ClientError } from 'permafrost';

const client = await Client.connect({
  archive: process.env.PERMAFROST_ARCHIVE ?? 'main',
  redis: process.env.PERMAFROST_REDIS_URL ?? 'redis://127.0.0.1:6379',
});
try {
  // When this resolves, the record is on disk.
  const receipt = await client.put({ key: 'order/17', value: JSON.stringify({ total: 42 }) });
  console.log(`${receipt.records[0]?.outcome} at ${receipt.records[0]?.cursor}`);

  // Many, from any source: jobs of a good size, a bounded number of them at a time.
  const summary = await client.putMany(orders(1000), { ifExists: 'append' });
  console.log(`${summary.recordCount} records in ${summary.jobCount} jobs`);

  const found = await client.lookup('order/17');
  console.log(found?.value.toString());

  // One answer a key: what cannot be read is told apart from what is not there.
  for (const answer of await client.lookupMany(['batch/999', 'batch/1000'])) console.log(answer.outcome);
} catch (error) {
  if (error instanceof ClientError) console.error(`${error.code}: ${error.message}`);
  throw error;
} finally {
  await client.close();
}

function* orders(count: number) {
  for (let n = 0; n < count; n++) yield { key: `batch/${n}`, value: Buffer.from([n & 0xff, n >> 8]) };
}
