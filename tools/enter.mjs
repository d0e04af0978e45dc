/**
 * The way in for `npm start`, `npm test`, `npm run check`, `crashlab` and `mutants` on a machine that has nothing but
 * Node 20, npm and a package manager: installs what is missing, finds a Node that runs the sources, hands over to it.
 *
 * Plain JavaScript without dependencies, because it runs before anything is installed.
 */
import { delimiter, dirname, join } from 'node:path';
import { argv, env } from 'node:process';
import { ensureDependencies, root } from './dependencies.mjs';
import { ensurePrograms } from './helm/programs.mjs';
import { findNode } from './node-version.mjs';
import { ensurePrometheus } from './prometheus.mjs';
import { ensureRedisServer } from './redis.mjs';
import { runToEnd } from './run-to-end.mjs';

const testFiles = 'test/**/*.test.ts';
const houseRules = ['test/layers.test.ts', 'test/house-rules.test.ts'];
const testTimeoutMs = 300_000;
/** Test files that run at the same time: as many as the smallest machine we test on has cores. */
const testConcurrency = 2;

/** @typedef {{ node: string, env: NodeJS.ProcessEnv, args: string[] }} Place */

/** @type {Record<string, (place: Place) => Promise<number>>} */
const commands = { start, test, check, crashlab, mutants };

/** @param {Place} place */
async function start(place) {
  const found = env.PERMAFROST_REDIS_URL ? place : await withRedis(place);
  return runNode(found, ['src/cli/start.ts', ...found.args]);
}

/** @param {Place} place */
async function test(place) {
  const { args } = place;
  const files = args.some((argument) => !argument.startsWith('-')) ? [] : [testFiles];
  return runTests(await withRedis(place), [...args, ...files]);
}

/**
 * Every rule of the project. A no does not keep the later ones from being asked; the tests come last, so that their
 * summary ends what is printed.
 *
 * @param {Place} place
 */
async function check(place) {
  /** @type {[string, () => Promise<number>][]} */
  const steps = [
    ['format', () => runBin(place, 'biome', ['format', '.'])],
    ['lint', () => runBin(place, 'biome', ['check', '--formatter-enabled=false', '.'])],
    ['types', () => runBin(place, 'tsc', ['--noEmit'])],
    ['layers', () => runTests(place, houseRules)],
    ['tests', async () => test(await withDeploymentPrograms(place))],
  ];
  const failed = [];
  for (const [name, step] of steps) {
    say(`check: ${name}${failed.length > 0 ? ` (failed so far: ${failed.join(', ')})` : ''}`);
    if ((await step()) !== 0) failed.push(name);
  }
  return failed.length > 0 ? 1 : 0;
}

/** @param {Place} place */
async function crashlab(place) {
  return runNode(await withRedis(place), ['crashlab/main.ts', ...place.args]);
}

/** @param {Place} place */
async function mutants(place) {
  return runNode(await withRedis(place), ['mutants/main.ts', ...place.args]);
}

/**
 * The same place with a Redis server's program on its PATH.
 *
 * @param {Place} place
 * @returns {Promise<Place>}
 */
async function withRedis(place) {
  const program = await ensureRedisServer(say);
  return { ...place, env: { ...place.env, PATH: `${place.env.PATH}${delimiter}${dirname(program)}` } };
}

/**
 * The same place, told why a program is missing that chart and alerts are checked with: their tests are skipped then,
 * each with this reason.
 *
 * @param {Place} place
 * @returns {Promise<Place>}
 */
async function withDeploymentPrograms(place) {
  const helm = await ensurePrograms(say);
  const prometheus = await ensurePrometheus(say);
  const missing = {
    ...('reason' in helm && { HELM_PROGRAMS_MISSING: helm.reason }),
    ...('reason' in prometheus && { PROMETHEUS_MISSING: prometheus.reason }),
  };
  for (const [name, reason] of Object.entries(missing)) say(`check: ${name}: ${reason}`);
  return { ...place, env: { ...place.env, ...missing } };
}

/**
 * @param {Place} place
 * @param {string[]} args
 */
function runTests(place, args) {
  const limits = [`--test-concurrency=${testConcurrency}`, `--test-timeout=${testTimeoutMs}`];
  return runNode(place, ['--test', '--test-reporter=spec', ...limits, ...args]);
}

/**
 * @param {Place} place
 * @param {string[]} args
 */
function runNode(place, args) {
  return runToEnd(place.node, ['--disable-warning=ExperimentalWarning', ...args], { env: place.env });
}

/**
 * @param {Place} place
 * @param {string} name
 * @param {string[]} args
 */
function runBin(place, name, args) {
  return runToEnd(join(root, 'node_modules', '.bin', name), args, { env: place.env });
}

/** @param {string} line */
function say(line) {
  process.stderr.write(`${line}\n`);
}

async function enter() {
  const [, , name = '', ...args] = argv;
  const command = commands[name];
  if (command === undefined) {
    throw new Error(`there is no command '${name}': use one of ${Object.keys(commands).join(', ')}`);
  }
  process.chdir(root);
  await ensureDependencies(say);
  const path = `${join(root, 'node_modules', '.bin')}${delimiter}${env.PATH ?? ''}`;
  return command({ node: findNode(), env: { ...env, PATH: path }, args });
}

enter().then(
  (status) => {
    process.exitCode = status;
  },
  (error) => {
    say(`permafrost: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  },
);
