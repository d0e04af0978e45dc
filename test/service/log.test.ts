import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger, type ServiceLogger } from '../../src/service/log.ts';
import { ShardError } from '../../src/shard/shard-error.ts';

function logged(write: (logger: ServiceLogger) => void, level = 'info'): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  write(createLogger(level, { archive: 'main' }, { write: (line) => void lines.push(JSON.parse(line)) }));
  return lines;
}

test('writes one JSON object a line with its time, level, event and fields', () => {
  const [line] = logged((logger) => logger.info({ records: 3 }, 'archived'));
  assert.partialDeepStrictEqual(line, { level: 'info', event: 'archived', archive: 'main', records: 3 });
  assert.match(String(line?.time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test('leaves out what is below its level', () => {
  assert.equal(logged((logger) => logger.debug({ key: 'a' }, 'put')).length, 0);
  assert.equal(logged((logger) => logger.debug({ key: 'a' }, 'put'), 'debug').length, 1);
});

test('masks passwords and tokens, in fields and in URLs', () => {
  const lines = logged((logger) => {
    logger.info({ url: 'redis://u:secret@h', password: 'secret' }, 'one');
    logger.info(
      { config: { redis: { url: 'redis://:secret@h', password: 'secret' }, http: { token: 'secret' } } },
      'two',
    );
    logger.warn({ error: new Error('cannot reach redis://u:secret@h') }, 'three');
  });
  assert.equal(lines.length, 3);
  assert.doesNotMatch(JSON.stringify(lines), /secret/);
  assert.match(JSON.stringify(lines), /redis:\/\/u:\*\*\*@h/);
});

test("shows an error's code, details and causes, and nothing that a client library hung on it", () => {
  const cause = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', command: { args: ['payload'] } });
  const error = new ShardError('failed', 'cannot go on', { details: { offset: 7 }, cause });
  const [line] = logged((logger) => logger.error({ error }, 'shard-failed'));
  assert.partialDeepStrictEqual(line, {
    error: { name: 'ShardError', code: 'failed', message: 'cannot go on', details: { offset: 7 } },
  });
  assert.doesNotMatch(JSON.stringify(line), /payload/);
  assert.match(JSON.stringify(line), /ENOSPC/);
});
