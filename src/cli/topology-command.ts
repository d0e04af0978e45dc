import { shardCountMax } from '../protocol/names.ts';
import { defineCommand, UsageError } from './command.ts';
import { clientOptions, configFrom } from './settings.ts';

const actions = ['show', 'grow', 'shrink'] as const;

export const topologyCommand = defineCommand({
  name: 'topology',
  summary: 'shows over how many shards an archive is spread, and changes it while it runs',
  description:
    'show lists the generations (the numbers of shards that the archive has had) and each shard: whether it has a live worker, its records ' +
    'and checkpoint, and how many puts wait for it. grow and shrink append a generation: from then on records are put to so many ' +
    'shards. Records never move, and a lookup asks every shard that a key may be on by any generation. So nothing is lost or cannot be ' +
    'found while clients hear of it one after the other, within seconds; and a shard that takes no puts any more must keep its worker.\n' +
    'Growing: start workers for the new shards first, then grow. It is refused while one of them has no live worker, since what is put ' +
    'to that shard would wait. An archive that nothing was ever put to begins with the number that is given, and its keys have one home; each ' +
    'later generation may give a key one home more.\n' +
    'Ends with 0 when the archive has so many shards, also when it had them before; with 1 when that was refused.',
  operands: {
    action: { summary: actions.join(', '), required: true },
    shards: { summary: 'how many shards records are put to from now on (grow, shrink)', required: false },
  },
  options: {
    force: { kind: 'flag', summary: 'grow: also while new shards have no live worker; what is put to them waits' },
    wait: {
      kind: 'count',
      placeholder: 'seconds',
      min: 0,
      max: 86_400,
      default: 0,
      summary: 'grow: how long to wait for workers of the new shards',
    },
    json: { kind: 'flag', summary: 'print it as JSON' },
    ...clientOptions,
  },
  examples: [
    { line: 'permafrost topology show', effect: 'see generations and shards' },
    { line: 'permafrost topology grow 4', effect: 'put to shards 0 to 3 from now on' },
    {
      line: 'permafrost topology grow 8 --wait 300',
      effect: 'the same in a deployment, as soon as all workers are there',
    },
    { line: 'permafrost topology shrink 2', effect: 'put to shards 0 and 1 only; the others are still looked up' },
  ],
  async run({ operands, options }, terminal) {
    const asked = askedOf(operands.action, operands.shards);
    const config = configFrom(options, terminal.environment);
    // Loaded when it is used, as in connectClient.
    const { TopologyUse } = await import('./topology-use.ts');
    await using use = await TopologyUse.connect(config, options, terminal);
    // Awaited, or else the connection is gone before the answer comes.
    return asked.action === 'show' ? await use.show() : await use.change(asked.action, asked.shards);
  },
});

type Asked = { readonly action: 'show' } | { readonly action: 'grow' | 'shrink'; readonly shards: number };

function askedOf(word: string, number: string | undefined): Asked {
  const action = actions.find((each) => each === word);
  if (action === undefined) {
    throw new UsageError('unexpected-operand', `the action is one of ${actions.join(', ')}, not '${word}'`);
  }
  if (action !== 'show') return { action, shards: shardsOf(action, number) };
  if (number === undefined) return { action };
  throw new UsageError('unexpected-operand', `show takes no number, found '${number}'`);
}

function shardsOf(action: string, word: string | undefined): number {
  if (word === undefined) throw new UsageError('missing-operand', `<shards> is missing: ${action} to how many?`);
  const count = /^\d{1,4}$/.test(word) ? Number(word) : 0;
  if (count >= 1 && count <= shardCountMax) return count;
  throw new UsageError('invalid-option', `<shards> must be a whole number from 1 to ${shardCountMax}, not '${word}'`);
}
