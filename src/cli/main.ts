#!/usr/bin/env node
import { commands } from './commands.ts';
import { runProcess } from './process-terminal.ts';

await runProcess(process.argv.slice(2), commands);
