import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as names from '../../src/protocol/names.ts';
import { assertRefused } from './protocol-assert.ts';

const { parseArchiveName, parseClientId } = names;
const archive = parseArchiveName('demo');

describe('the name of an archive', () => {
  it('is made of lower-case letters, digits and inner hyphens', () => {
    for (const text of ['a', 'orders-2031', '7', 'a--b', 'a'.repeat(40), 'replying', 'no-replys']) {
      assert.equal(parseArchiveName(text), text);
    }
  });

  it('cannot make a path, a key or a hash tag of its own', () => {
    const bad = [
      '',
      '-a',
      'a-',
      'A',
      'a:b',
      'a/b',
      '..',
      '../a',
      'a b',
      'a}',
      '{a',
      'a*',
      'a\n',
      'ä',
      'a\0',
      'a'.repeat(41),
    ];
    for (const text of bad) assertRefused('invalid-name', 'archive', () => parseArchiveName(text));
  });

  it('has no word "reply", which separates archive and client', () => {
    for (const text of ['reply', 'a-reply', 'reply-a', 'a-reply-b']) {
      assertRefused('invalid-name', 'archive', () => parseArchiveName(text));
    }
  });
});

describe('the id of a client', () => {
  it('is made of letters, digits, dots, underscores and hyphens, a letter or digit first', () => {
    for (const text of ['a', 'Shop_1.eu-7f3a', '0', 'a-reply-b', 'x'.repeat(64)])
      assert.equal(parseClientId(text), text);
    for (const text of ['', '.a', '-a', 'a:b', 'a/b', '..', 'a}', 'a b', 'a*', 'ü', 'a\n', 'x'.repeat(65)]) {
      assertRefused('invalid-name', 'client', () => parseClientId(text));
    }
  });
});

describe('the names in Redis', () => {
  it('are what the contract says', () => {
    const client = parseClientId('shop-1');
    assert.deepEqual(
      [
        names.putQueueName(archive, 0),
        names.lookupQueueName(archive, 17),
        names.replyQueueName(archive, client),
        names.replyListKey(archive, client),
        names.heartbeatKey(archive, client),
        names.checkpointKey(archive, 0),
        names.checkpointsKey(archive, 0),
        names.leaseKey(archive, 0),
        names.topologyKey(archive),
      ],
      [
        '{demo-0}-put',
        '{demo-17}-lookup',
        '{demo-reply-shop-1}',
        'permafrost:{demo-reply-shop-1}:list',
        'permafrost:{demo-reply-shop-1}:heartbeat',
        'permafrost:{demo-0}:checkpoint',
        'permafrost:{demo-0}:checkpoints',
        'permafrost:{demo-0}:lease',
        'permafrost:{demo}:topology',
      ],
    );
  });

  it('are refused for a shard that is no shard', () => {
    for (const shard of [-1, 1.5, Number.NaN, names.shardCountMax]) {
      assertRefused('invalid-name', 'shard', () => names.putQueueName(archive, shard));
    }
  });

  it('are never the same for two different things', () => {
    const word = fc.constantFrom('a', 'reply', '0', '1', 'a-0', 'reply-a', 'x-reply-0', 'a-reply');
    const text = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join('-'));
    const thing = fc
      .record({ archive: text.filter(names.isArchiveName), client: text.filter(names.isClientId), shard: fc.nat(1) })
      .chain(({ archive, client, shard }) =>
        fc.constantFrom(
          { what: `put ${archive} ${shard}`, name: names.putQueueName(archive, shard) },
          { what: `lookup ${archive} ${shard}`, name: names.lookupQueueName(archive, shard) },
          { what: `reply ${archive} ${client}`, name: names.replyQueueName(archive, client) },
          { what: `list ${archive} ${client}`, name: names.replyListKey(archive, client) },
          { what: `heartbeat ${archive} ${client}`, name: names.heartbeatKey(archive, client) },
          { what: `checkpoint ${archive} ${shard}`, name: names.checkpointKey(archive, shard) },
          { what: `lease ${archive} ${shard}`, name: names.leaseKey(archive, shard) },
          { what: `topology ${archive}`, name: names.topologyKey(archive) },
        ),
      );
    fc.assert(
      fc.property(thing, thing, (one, other) => {
        assert.equal(one.what === other.what, one.name === other.name);
      }),
      { numRuns: 2000 },
    );
  });

  it('say which client a key of a reply queue belongs to', () => {
    const client = parseClientId('shop-1');
    const key = `permafrost:${names.replyQueueName(archive, client)}:meta`;
    assert.equal(names.clientOfReplyKey(archive, key), client);
    assert.equal(names.replyQueuePattern(archive), 'permafrost:{demo-reply-*}:meta');
    for (const other of [
      'permafrost:{demo-0}-put:meta',
      'permafrost:{demo2-reply-a}:meta',
      'permafrost:{demo-reply-a',
      'permafrost:{demo-reply-}:meta',
    ]) {
      assert.equal(names.clientOfReplyKey(archive, other), undefined);
    }
  });
});
