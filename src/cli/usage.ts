import type { Command, OperandTable, OptionSpec } from './command.ts';

const exitCodeText = `Exit status:
  0    done
  1    done, and the answer is no: key missing, records not stored, damage found
  2    the command line or the configuration is wrong; nothing was touched
  3    could not be done: no Redis, data directory in use, deadline, disk
  130  interrupted; what was acknowledged is stored`;

/** The text of `permafrost --help`. */
export function generalHelp(commands: readonly Command[]): string {
  const lines = table(commands.map((command) => [command.name, command.summary]));
  return `Permafrost archives records for good: a completed put is on disk.

Usage: permafrost <command> [arguments] [options]

Commands:
${lines}

  permafrost <command> --help   teaches a command, with examples
  permafrost --version          prints the version

${exitCodeText}
`;
}

/** The text of `permafrost <command> --help`. */
export function commandHelp(command: Command): string {
  const parts = [
    `Usage: ${usageLine(command)}`,
    folded(command.description),
    section('Arguments', operandRows(command.operands)),
    section('Options', optionRows(command.options)),
    `Examples:\n${command.examples.map((example) => `  # ${example.effect}\n  ${example.line}`).join('\n\n')}`,
    exitCodeText,
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

export function usageLine(command: Command): string {
  const operands = Object.entries(command.operands).map(([name, spec]) => (spec.required ? `<${name}>` : `[${name}]`));
  const required = Object.entries(command.options).flatMap(([name, spec]) =>
    'required' in spec && spec.required === true ? [`--${name} <${spec.placeholder}>`] : [],
  );
  return ['permafrost', command.name, ...operands, ...required, '[options]'].join(' ');
}

type Row = readonly [left: string, right: string];

function operandRows(operands: OperandTable): readonly Row[] {
  return Object.entries(operands).map(([name, spec]) => [name, spec.summary]);
}

function optionRows(options: Readonly<Record<string, OptionSpec>>): readonly Row[] {
  const rows: Row[] = Object.entries(options).map(([name, spec]) => [optionLeft(name, spec), optionRight(spec)]);
  return [...rows, ['-h, --help', 'this text']];
}

function optionLeft(name: string, spec: OptionSpec): string {
  const long = `${spec.short === undefined ? '    ' : `-${spec.short}, `}--${name}`;
  if (spec.kind === 'flag') return long;
  return spec.kind === 'choice' ? `${long} <${spec.choices.join('|')}>` : `${long} <${spec.placeholder}>`;
}

function optionRight(spec: OptionSpec): string {
  if (spec.kind === 'list') return `${spec.summary}; may be repeated`;
  return spec.kind === 'flag' || spec.default === undefined ? spec.summary : `${spec.summary} (${spec.default})`;
}

function section(title: string, rows: readonly Row[]): string {
  return rows.length === 0 ? '' : `${title}:\n${table(rows)}`;
}

const leftWidthMax = 34;
const lineWidthMax = 100;

function table(rows: readonly Row[]): string {
  const width = Math.min(leftWidthMax, Math.max(...rows.map(([left]) => left.length)));
  const indent = ' '.repeat(width + 4);
  return rows
    .map(([left, right]) => {
      const text = folded(right, lineWidthMax - indent.length).replaceAll('\n', `\n${indent}`);
      return left.length > width ? `  ${left}\n${indent}${text}` : `  ${left.padEnd(width)}  ${text}`;
    })
    .join('\n');
}

/** The text with lines of at most `widthMax` characters; line ends of the text stay. */
function folded(text: string, widthMax = lineWidthMax): string {
  return text
    .split('\n')
    .map((paragraph) => {
      const lines: string[] = [];
      let line = '';
      for (const word of paragraph.split(' ')) {
        if (line !== '' && line.length + 1 + word.length > widthMax) {
          lines.push(line);
          line = word;
        } else {
          line = line === '' ? word : `${line} ${word}`;
        }
      }
      return [...lines, line].join('\n');
    })
    .join('\n');
}
