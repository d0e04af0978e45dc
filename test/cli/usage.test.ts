import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { commandHelp, generalHelp } from '../../src/cli/usage.ts';
import { recordedTerminal } from './manual-terminal.ts';

test('the general help lists every command with its summary and all exit codes', () => {
  const help = generalHelp(commands);
  for (const command of commands) assert.match(help, new RegExp(`^  ${command.name} +\\S`, 'm'));
  for (const code of ['0', '1', '2', '3', '130']) assert.match(help, new RegExp(`^  ${code} `, 'm'));
});

test('the help of each command teaches: usage, every operand and option, an example that names the command', () => {
  for (const command of commands) {
    const help = commandHelp(command);
    for (const name of Object.keys(command.operands)) assert.match(help, new RegExp(`^  ${name} `, 'm'), command.name);
    for (const name of Object.keys(command.options)) assert.ok(help.includes(`--${name}`), `${command.name} ${name}`);
    assert.ok(command.examples.length > 0, command.name);
    for (const { line } of command.examples) assert.ok(line.includes(`permafrost ${command.name}`), line);
    for (const line of help.split('\n')) assert.ok(line.length <= 120, `${command.name}: ${line}`);
  }
});

test('help goes to the output with status 0, the lack of a command to the notes with status 2', async () => {
  const asked = recordedTerminal();
  assert.equal(await dispatch(['--help'], commands, '1.2.3', asked), 0);
  assert.match(asked.output.text, /^Usage: permafrost <command>/m);
  const silent = recordedTerminal();
  assert.equal(await dispatch([], commands, '1.2.3', silent), 2);
  assert.equal(silent.output.text, '');
  assert.match(silent.notes.text, /Commands:/);
});

test('help <command>, <command> --help and <command> -h say the same', async () => {
  const texts: string[] = [];
  for (const words of [
    ['help', 'get'],
    ['get', '--help'],
    ['get', '-h'],
  ]) {
    const terminal = recordedTerminal();
    assert.equal(await dispatch(words, commands, '1.2.3', terminal), 0);
    texts.push(terminal.output.text);
  }
  assert.match(texts[0] ?? '', /^Usage: permafrost get /);
  assert.deepEqual([texts[1], texts[2]], [texts[0], texts[0]]);
});

test('an unknown command is refused with the close one and status 2', async () => {
  const terminal = recordedTerminal();
  assert.equal(await dispatch(['verfy'], commands, '1.2.3', terminal), 2);
  assert.equal(
    terminal.notes.text,
    "permafrost: unknown command 'verfy'; did you mean verify?\nTry 'permafrost --help'.\n",
  );
  assert.equal(terminal.output.text, '');
});

test('an unknown option is refused with where to read and status 2', async () => {
  const terminal = recordedTerminal();
  assert.equal(await dispatch(['get', 'a', '--jsno'], commands, '1.2.3', terminal), 2);
  assert.match(
    terminal.notes.text,
    /^permafrost get: unknown option --jsno; did you mean --json\?\nTry 'permafrost get --help'\.$/m,
  );
});

test('the version is printed alone', async () => {
  const terminal = recordedTerminal();
  assert.equal(await dispatch(['--version'], commands, '1.2.3', terminal), 0);
  assert.equal(terminal.output.text, 'permafrost 1.2.3\n');
});
