/** When a put is answered, what it stores, what a lookup may see, and who may open a shard. */
import type { Mutant } from './mutant.ts';

export const shardMutants: readonly Mutant[] = [
  {
    name: 'put-resolved-before-its-commit',
    file: 'src/shard/group-commit.ts',
    text: 'this.#backlog.settle(store.freezer.committed, store.commitNumber)',
    replacement: 'this.#backlog.settle(store.freezer.end, store.commitNumber)',
    breaks: 'A put resolves, and its reply is sent, when it is in memory only.',
    killer: { file: 'test/shard/group-commit.test.ts', test: 'resolves no put before its fsyncs returned' },
  },
  {
    name: 'unchanged-before-its-record-is-committed',
    file: 'src/shard/pending-put.ts',
    text: 'return liesBelow(this.#last, committed);',
    replacement:
      "return this.#plans?.some(({ outcome }) => outcome === 'stored') ? liesBelow(this.#last, committed) : true;",
    breaks: 'A put is answered `unchanged` though the record that it rests on can still be lost.',
    killer: { file: 'test/shard/idempotence.test.ts', test: 'only when the record that it rests on is committed' },
  },
  {
    name: 'checkpoint-told-before-it-is-durable',
    file: 'src/shard/two-slot-file.ts',
    text: 'await this.#put(slot, value, sequence);',
    replacement: 'void this.#put(slot, value, sequence);',
    breaks: 'A checkpoint is published before its file is durable.',
    killer: { file: 'test/shard/group-commit.test.ts', test: 'tell of a checkpoint only when it is durable' },
  },
  {
    name: 'lookup-beyond-the-last-commit',
    file: 'src/shard/lookup.ts',
    text: 'if (liesBelow(lookup.cursor, store.freezer.committed)) return answer;',
    replacement: 'if (liesBelow(lookup.cursor, store.freezer.end)) return answer;',
    breaks: 'A lookup returns a record that a crash can still take away.',
    killer: { file: 'test/shard/lookup.test.ts', test: 'waits for the commit of a record that is not committed' },
  },
  {
    name: 'lookup-of-a-failed-instance-sees-all',
    file: 'src/shard/lookup.ts',
    text: 'if (!liesBelow(cursor, store.freezer.committed)) continue;',
    replacement: '',
    breaks: 'After a failed write a lookup returns a version that was never committed.',
    killer: { file: 'test/shard/breakdown.test.ts', test: 'lookups are answered while the second instance' },
  },
  {
    name: 'lookup-of-a-table-taken-back',
    file: 'src/shard/lookup.ts',
    text: 'return store.syncFailed && this.#state.disturbed;',
    replacement: 'return store.syncFailed && !this.#state;',
    breaks: 'A lookup reads a table that another instance is taking back to its checkpoint.',
    killer: { file: 'test/shard/lookup-desk.test.ts', test: 'waits for another instance' },
  },
  {
    name: 'redelivery-ignored',
    file: 'src/shard/put-plan.ts',
    text: "return request.redelivered || request.ifExists !== 'append';",
    replacement: "return request.ifExists !== 'append';",
    breaks: 'A job that is delivered again is stored a second time.',
    killer: { file: 'test/shard/idempotence.test.ts', test: 'names the records that it stored the first time' },
  },
  {
    name: 'record-index-ignored',
    file: 'src/shard/key-walk.ts',
    text: 'function nameOf(putId: string, recordIndex: number): string {',
    replacement: 'function nameOf(putId: string, recordIndex: number): string {\n  if (recordIndex >= 0) return putId;',
    breaks: 'Two records of one key in one put count as one when the job is delivered again.',
    killer: { file: 'test/shard/idempotence.test.ts', test: 'keeps records of one key in one put apart' },
  },
  {
    name: 'put-repeated-blindly-after-a-failed-write',
    file: 'src/shard/pending-put.ts',
    text: 'this.#repeated = true;',
    replacement: '',
    breaks: 'A put that was appended before a write failed is stored twice by the second instance.',
    killer: { file: 'test/shard/breakdown.test.ts', test: 'takes over and the put is stored once' },
  },
  {
    name: 'reject-stores-a-part',
    file: 'src/shard/put-plan.ts',
    text: `      plans.push(plan);
      if (plan.outcome === 'stored' && this.#byKey !== undefined) push(fresh, keyOf(record), plan.on);
    }
    for (const plan of plans) if (plan.outcome === 'stored') this.staged.push(plan.on);`,
    replacement: `      plans.push(plan);
      if (plan.outcome === 'stored') this.staged.push(plan.on);
      if (plan.outcome === 'stored' && this.#byKey !== undefined) push(fresh, keyOf(record), plan.on);
    }`,
    breaks: 'A put that is refused because a key exists leaves its other records behind.',
    killer: { file: 'test/shard/idempotence.test.ts', test: 'is refused as a whole with reject' },
  },
  {
    name: 'limits-not-checked',
    file: 'src/shard/shard.ts',
    text: 'checkRequest(request, batchRecordsMax(this.#settings.engine));',
    replacement: '',
    breaks: 'A put that can never be stored is found out when it is half appended.',
    killer: { file: 'test/shard/group-commit.test.ts', test: 'refuses what can never be stored' },
  },
  {
    name: 'backlog-not-bounded',
    file: 'src/shard/put-backlog.ts',
    text: "requireRoom('waitingBytesMax', load.bytes, limits.waitingBytesMax);",
    replacement: '',
    breaks: 'Puts collect in memory without end while the disk is slow.',
    killer: { file: 'test/shard/group-commit.test.ts', test: 'refuses what would make too much wait' },
  },
  {
    name: 'owner-lock-not-taken',
    file: 'src/shard/owner-lock.ts',
    text: "database.exec('BEGIN EXCLUSIVE');",
    replacement: "database.exec('BEGIN');",
    breaks: 'Two workers write to one volume.',
    killer: { file: 'test/shard/owner-lock.test.ts', test: 'is refused to a second owner in the same process' },
  },
  {
    name: 'instance-not-compared-with-redis',
    file: 'src/shard/start-up.ts',
    text: 'if (volume.instance !== published.instance) throw foreignVolume(volume.instance, published);',
    replacement: '',
    breaks: 'The volume of another shard is opened and published as this one.',
    killer: { file: 'test/shard/open.test.ts', test: 'refuses a volume that was rolled back, is empty' },
  },
  {
    name: 'rolled-back-volume-accepted',
    file: 'src/shard/start-up.ts',
    text: 'if (published.epoch > epoch) throw rolledBack(epoch, published);',
    replacement: '',
    breaks: 'A volume of last week is opened, and everything since is missing in silence.',
    killer: { file: 'test/shard/open.test.ts', test: 'refuses a volume that was rolled back, is empty' },
  },
  {
    name: 'empty-volume-accepted',
    file: 'src/shard/start-up.ts',
    text: "if (volume.kind === 'empty') throw emptyVolume(published);",
    replacement: "if (volume.kind === 'empty') return;",
    breaks: 'A shard begins anew on an empty directory when its volume is not mounted.',
    killer: { file: 'test/shard/open.test.ts', test: 'refuses a volume that was rolled back, is empty' },
  },
  {
    name: 'instance-not-compared-on-disk',
    file: 'src/shard/open-shard.ts',
    text: 'if (identity.instance !== volume.instance) {',
    replacement: 'if (identity.instance === undefined) {',
    breaks: 'Files of two shards that were mixed up are opened as one.',
    killer: { file: 'test/shard/open.test.ts', test: 'refuses the identity of another shard' },
  },
];
