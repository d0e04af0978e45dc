import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Config, configFiles, loadConfig, settings } from '../service/config.ts';
import type { OptionSpec, Terminal } from './command.ts';

/** The file that comes with Permafrost: every setting with its default. */
const defaultsFile = fileURLToPath(new URL('../../config/default.json', import.meta.url));

type SettingOption = Extract<OptionSpec, { readonly kind: 'text' | 'flag' }>;

const configOption = {
  kind: 'text',
  placeholder: 'file',
  summary: 'JSON file with settings, read after the ones that PERMAFROST_CONFIG names',
} as const;

/** Options of a command that talks to the archive over Redis. */
export const clientOptions = { config: configOption, ...settingOptions(['archive', 'redis-url']) };

/** Options of a command that reads a shard's files. */
export const shardOptions = { config: configOption, ...settingOptions(['archive', 'shard', 'data-dir']) };

/** Every setting as an option, for the worker. */
export const allSettingOptions: Readonly<Record<string, OptionSpec>> = {
  config: configOption,
  ...settingOptions(settings.map((setting) => setting.flag)),
};

/** The settings from files, environment and the options of a command; see `loadConfig` for errors. */
export function configFrom(
  options: Readonly<Record<string, unknown>>,
  environment: Terminal['environment'],
  overrides: Readonly<Record<string, string>> = {},
): Config {
  const files = [...(existsSync(defaultsFile) ? [defaultsFile] : []), ...configFiles(environment)];
  if (typeof options.config === 'string') files.push(options.config);
  const flags: Record<string, string> = { ...overrides };
  for (const { flag } of settings) {
    const value = options[flag];
    if (typeof value === 'string') flags[flag] = value;
    else if (value === true) flags[flag] = 'true';
  }
  return loadConfig({ files, env: environment, flags });
}

function settingOptions<const Flag extends string>(flags: readonly Flag[]): Readonly<Record<Flag, SettingOption>> {
  const options: Partial<Record<Flag, SettingOption>> = {};
  for (const flag of flags) {
    const setting = settings.find((each) => each.flag === flag);
    if (setting !== undefined) options[flag] = optionOf(setting);
  }
  return options as Readonly<Record<Flag, SettingOption>>;
}

function optionOf({ doc, default: value }: (typeof settings)[number]): SettingOption {
  if (typeof value === 'boolean') return { kind: 'flag', summary: doc };
  const summary = value === '' ? doc : `${doc} (${value})`;
  return { kind: 'text', placeholder: typeof value === 'number' ? 'n' : 'text', summary };
}
