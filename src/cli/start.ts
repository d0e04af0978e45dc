import { runProcess } from './process-terminal.ts';
import { startCommand } from './start-command.ts';

await runProcess([startCommand.name, ...process.argv.slice(2)], [startCommand]);
