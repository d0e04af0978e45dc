import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { isatty } from 'node:tty';

/** @type {NodeJS.Signals[]} */
const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/**
 * Runs a program on this process's own input and output, and resolves with its exit status: 128 plus the signal's number
 * when a signal ended it, as a shell has it.
 *
 * Signals that this process gets are passed on. A terminal sends Ctrl-C to the program as well, so there it is not sent
 * a second time: many programs take the second one as "now at once".
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ readonly env?: NodeJS.ProcessEnv, readonly stdout?: 'inherit' | 'stderr' }} [options]
 * @returns {Promise<number>}
 */
export function runToEnd(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const output = options.stdout === 'stderr' ? 2 : 1;
    const child = spawn(program, args, { stdio: [0, output, 2], env: options.env ?? process.env });
    /** @param {NodeJS.Signals} signal */
    const passOn = (signal) => {
      const fromTerminal = isatty(0) && (signal === 'SIGINT' || signal === 'SIGQUIT');
      if (!fromTerminal) child.kill(signal);
    };
    const letGo = () => {
      for (const signal of passedOn) process.off(signal, passOn);
    };
    for (const signal of passedOn) process.on(signal, passOn);
    child.once('error', (error) => {
      letGo();
      reject(new Error(`${program} could not be started: ${error.message}`));
    });
    child.once('close', (status, signal) => {
      letGo();
      resolve(status ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
