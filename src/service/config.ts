import { accessSync, constants, readFileSync } from 'node:fs';
import convict from 'convict';
import { messageOf } from '../base/errors.ts';
import { ConfigError } from './config-error.ts';
import { type Format, type NumberRange, token } from './config-formats.ts';
import { type Config, configSchema, type Setting } from './config-schema.ts';

export type { Config } from './config-schema.ts';

/** Where settings come from; a later one wins over an earlier one: defaults, files in their order, environment, flags. */
export interface ConfigSources {
  /** JSON files. */
  readonly files?: readonly string[];
  /** All of `process.env`; only `PERMAFROST_*` is looked at. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Flags by name without the dashes, as in `{ 'redis-url': 'redis://…' }`. */
  readonly flags?: Readonly<Record<string, string>>;
}

/** A setting as documentation and the command line see it. */
export interface SettingInfo {
  /** As in `redis.startTimeoutMs`. */
  readonly key: string;
  /** As in `PERMAFROST_REDIS_START_TIMEOUT_MS`. */
  readonly env: string;
  /** As in `redis-start-timeout-ms`. */
  readonly flag: string;
  readonly doc: string;
  readonly default: string | number | boolean;
  /** The numbers that it may be, if it is one. */
  readonly range: NumberRange | undefined;
  /** The words that it may be, where they are few. */
  readonly words: readonly string[] | undefined;
  readonly secret: boolean;
}

type Value = string | number | boolean;

const envPrefix = 'PERMAFROST_';
/** Names the further JSON files, separated by commas. Read by `configFiles`; not a setting itself. */
const filesVariable = 'PERMAFROST_CONFIG';
/** What Kubernetes adds to a pod for a Service that is called like us; never a setting. */
const serviceLink = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)$/;

/** All settings in the order of the schema. */
export const settings: readonly SettingInfo[] = collect(configSchema, '');

const byKey = new Map(settings.map((info) => [info.key, info]));
const byEnv = new Map(settings.map((info) => [info.env, info]));
const byFlag = new Map(settings.map((info) => [info.flag, info]));

/**
 * The settings from all sources, checked.
 *
 * Throws a ConfigError that names the key and where it was given for an unknown key, a value of the wrong type or out
 * of its range, and a file that cannot be read. A secret's value is in no error.
 */
export function loadConfig(sources: ConfigSources): Config {
  const config = convict<Config>(configSchema as unknown as convict.Schema<Config>, { env: {}, args: [] });
  for (const file of sources.files ?? []) {
    for (const [key, value] of fileEntries(file)) config.set(key, value);
  }
  for (const [key, value] of envEntries(sources.env ?? {})) config.set(key, value);
  for (const [key, value] of flagEntries(sources.flags ?? {})) config.set(key, value);
  try {
    config.validate({ allowed: 'strict' });
  } catch (error) {
    throw new ConfigError('invalid-value', messageOf(error), { details: { key: firstKey(messageOf(error)) } });
  }
  const checked = config.getProperties();
  checkTogether(checked);
  return withSecrets(checked);
}

/** What no setting can be checked for by itself. */
function checkTogether(checked: Config): void {
  if (checked.disk.resumeAboveBytes < checked.disk.pauseBelowBytes) {
    throw invalid('disk.resumeAboveBytes', 'the settings together', 'must not be below disk.pauseBelowBytes');
  }
  if (checked.shards !== '' && checked.shard !== 0) {
    throw invalid('shards', 'the settings together', 'stands in place of shard: give one of the two');
  }
  if (checked.limits.replyBytesMax < checked.limits.valueBytesMax) {
    throw invalid('limits.replyBytesMax', 'the settings together', 'must not be below limits.valueBytesMax');
  }
  checkTls(checked.redis);
}

/** A setting for TLS with an address without it would be left out in silence; one file that is missing, told too late. */
function checkTls({ url, tlsCaFile, tlsCertFile, tlsKeyFile, tlsServerName }: Config['redis']): void {
  const given = Object.entries({ tlsCaFile, tlsCertFile, tlsKeyFile, tlsServerName }).filter(
    ([, value]) => value !== '',
  );
  const [first] = given;
  if (first !== undefined && !url.startsWith('rediss:')) {
    throw invalid(`redis.${first[0]}`, 'the settings together', 'is for TLS: redis.url must be rediss://');
  }
  if ((tlsCertFile === '') !== (tlsKeyFile === '')) {
    throw invalid('redis.tlsCertFile', 'the settings together', 'goes with redis.tlsKeyFile: give both or none');
  }
  for (const [name, file] of given) if (name !== 'tlsServerName') readableFile(`redis.${name}`, file);
}

function readableFile(key: string, file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    throw new ConfigError('unreadable-file', `${key}: ${messageOf(error)}`, { details: { file }, cause: error });
  }
}

/** The settings with the secrets that files hold. */
function withSecrets(config: Config): Config {
  const { redis, http } = config;
  return {
    ...config,
    redis: { ...redis, password: secretOf('redis.password', redis.password, redis.passwordFile) },
    http: { ...http, token: secretOf('http.token', http.token, http.tokenFile) },
  };
}

/** The secret itself, or what its file holds but for the end of the line; the value is in no error. */
function secretOf(key: string, given: string, file: string): string {
  if (file === '') return given;
  if (given !== '')
    throw invalid(`${key}File`, 'the settings together', `stands in place of ${key}: give one of the two`);
  let held: string;
  try {
    held = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new ConfigError('unreadable-file', `${key}File: ${messageOf(error)}`, { details: { file }, cause: error });
  }
  if (held === '') throw invalid(`${key}File`, file, 'must not be empty');
  try {
    if (key === 'http.token') token(held);
  } catch (error) {
    throw invalid(`${key}File`, file, messageOf(error));
  }
  return held;
}

/** The JSON files that the environment names in `PERMAFROST_CONFIG`. */
export function configFiles(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  return (env[filesVariable] ?? '').split(',').filter((file) => file !== '');
}

/** The settings with secrets masked, for logs and `--print-config`. */
export function maskedConfig(config: Config): Config {
  const masked = (secret: string): string => (secret === '' ? '' : '***');
  const { redis, http } = config;
  return {
    ...config,
    redis: { ...redis, url: maskedUrl(redis.url), password: masked(redis.password) },
    http: { ...http, token: masked(http.token) },
  };
}

function maskedUrl(text: string): string {
  const url = new URL(text);
  if (url.password !== '') url.password = '***';
  return url.href;
}

function collect(node: object, path: string): SettingInfo[] {
  return Object.entries(node).flatMap(([name, child]) => {
    const key = path === '' ? name : `${path}.${name}`;
    return isSetting(child) ? [infoOf(key, child)] : collect(child, key);
  });
}

function isSetting(node: object): node is Setting<Value> {
  return 'default' in node;
}

function infoOf(key: string, { default: value, format, doc, sensitive }: Setting<Value>): SettingInfo {
  const words = key.replaceAll('.', '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const env = envPrefix + words.replaceAll('-', '_').toUpperCase();
  const allowed = {
    range: isFormat(format) ? format.range : undefined,
    words: isFormat(format) ? undefined : texts(format),
  };
  return { key, env, flag: words, doc, default: value, ...allowed, secret: sensitive === true };
}

function isFormat(format: Setting<Value>['format']): format is Format {
  return typeof format === 'function';
}

function texts(values: readonly Value[]): readonly string[] | undefined {
  const words = values.filter((value) => typeof value === 'string');
  return words.length === 0 ? undefined : words;
}

function fileEntries(file: string): [string, Value][] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ConfigError('unreadable-file', `${file}: ${messageOf(error)}`, { details: { file }, cause: error });
  }
  if (!isPlainObject(content)) throw new ConfigError('unreadable-file', `${file}: must hold a JSON object`);
  return leaves(content, '', file);
}

function leaves(node: Record<string, unknown>, path: string, file: string): [string, Value][] {
  return Object.entries(node).flatMap(([name, child]): [string, Value][] => {
    const key = path === '' ? name : `${path}.${name}`;
    if (isPlainObject(child) && !byKey.has(key)) return leaves(child, key, file);
    const info = known(byKey, key, `${key} in ${file}`);
    if (!isValue(child) || typeof child !== typeof info.default) {
      throw invalid(key, file, `must be a ${typeof info.default}`);
    }
    return [[key, child]];
  });
}

function envEntries(env: Readonly<Record<string, string | undefined>>): [string, Value][] {
  const entries: [string, Value][] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(envPrefix) || value === undefined || name === filesVariable) continue;
    if (!byEnv.has(name) && serviceLink.test(name)) continue;
    entries.push(parsed(known(byEnv, name, `environment variable ${name}`), value, name));
  }
  return entries;
}

function flagEntries(flags: Readonly<Record<string, string>>): [string, Value][] {
  return Object.entries(flags).map(([name, value]) =>
    parsed(known(byFlag, name, `flag --${name}`), value, `--${name}`),
  );
}

/** The text as the setting's type. Stricter than convict, which takes `5x` for 5 and `no` for true. */
function parsed(info: SettingInfo, value: string, where: string): [string, Value] {
  if (typeof info.default === 'string') return [info.key, value];
  if (typeof info.default === 'boolean') {
    if (value !== 'true' && value !== 'false') throw invalid(info.key, where, 'must be true or false');
    return [info.key, value === 'true'];
  }
  if (!/^-?\d+$/.test(value)) throw invalid(info.key, where, 'must be a whole number');
  return [info.key, Number(value)];
}

function known(index: ReadonlyMap<string, SettingInfo>, name: string, what: string): SettingInfo {
  const info = index.get(name);
  if (info === undefined) throw new ConfigError('unknown-key', `unknown setting: ${what}`, { details: { key: name } });
  return info;
}

function invalid(key: string, where: string, problem: string): ConfigError {
  return new ConfigError('invalid-value', `${key} (from ${where}): ${problem}`, { details: { key } });
}

function firstKey(message: string): string {
  return message.split(':', 1)[0] ?? '';
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isValue(value: unknown): value is Value {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
