import { describe } from 'node:test';
import { payloadExperiments } from '../../crashlab/payload/experiments.ts';
import { testLiveEdition } from './live-edition.ts';

describe('payloads that nobody should send', { concurrency: 2 }, () => {
  testLiveEdition(payloadExperiments, { 'fuzzed-payloads': 7 });
});
