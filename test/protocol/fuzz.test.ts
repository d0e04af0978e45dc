import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeCheckpointNotice } from '../../src/protocol/checkpoint-notice.ts';
import { parseJobText } from '../../src/protocol/job-text.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { decodeLookupJob } from '../../src/protocol/lookup-job.ts';
import { ProtocolError } from '../../src/protocol/protocol-error.ts';
import { decodePutJob } from '../../src/protocol/put-job.ts';
import { addressOf } from '../../src/protocol/reply-address.ts';
import { decodeReplyMessage } from '../../src/protocol/reply-message.ts';
import { decodeTopology } from '../../src/protocol/topology.ts';
import { mutated, rightMessages, throughJson } from './broken-messages.ts';
import { schema } from './schemas.ts';

const decoders: Readonly<Record<keyof typeof rightMessages, (value: unknown) => unknown>> = {
  'put-job': (value) => decodePutJob(value, defaultLimits),
  'lookup-job': (value) => decodeLookupJob(value, defaultLimits),
  reply: decodeReplyMessage,
  receipts: decodeReplyMessage,
  topology: decodeTopology,
};

const names = Object.keys(rightMessages) as (keyof typeof rightMessages)[];
/** Whether it was decoded; anything but a ProtocolError fails the test. */
function accepts(decode: (value: unknown) => unknown, value: unknown): boolean {
  try {
    decode(value);
    return true;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

describe('a decoder', () => {
  for (const name of names) {
    it(`throws nothing but a ProtocolError, whatever it gets as ${name}`, () => {
      let acceptedCount = 0;
      fc.assert(
        fc.property(mutated(rightMessages[name]), (value) => {
          if (accepts(decoders[name], value)) acceptedCount += 1;
          addressOf(value, defaultLimits);
        }),
        { numRuns: 3000, seed: 20_261_122 },
      );
      assert.ok(acceptedCount > 20, `only ${acceptedCount} messages were right: the fuzzer tests little`);
    });
  }

  for (const name of ['put-job', 'lookup-job'] as const) {
    it(`accepts as ${name} only what the published schema accepts`, () => {
      const validate = schema(name);
      fc.assert(
        fc.property(mutated(rightMessages[name]), (value) => {
          const json = throughJson(value);
          if (json !== undefined && accepts(decoders[name], json))
            assert.ok(validate(json), JSON.stringify(validate.errors));
        }),
        { numRuns: 1500 },
      );
    });
  }

  it('throws nothing but a ProtocolError for any text', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.json());
    fc.assert(
      fc.property(text, (json) => {
        for (const name of names) accepts((value) => decoders[name](parseJobText(String(value), defaultLimits)), json);
      }),
      { numRuns: 1000 },
    );
  });

  it('throws nothing but a ProtocolError for any hash', () => {
    const field = fc.constantFrom('v', 'instance', 'epoch', 'checkpoint', 'commit', 'records', 'time', '__proto__');
    const value = fc.oneof(
      fc.string(),
      fc.constantFrom('1', '0', '-1', '9'.repeat(30), 'a'.repeat(56), '0'.repeat(56)),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(field, value)), (entries) => {
        accepts(() => decodeCheckpointNotice(Object.fromEntries(entries)), undefined);
      }),
      { numRuns: 1000 },
    );
  });
});
