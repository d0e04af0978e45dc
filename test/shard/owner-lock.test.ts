import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { directoryLock, lockFile, lockOwnerFile } from '../../src/shard/owner-lock.ts';

const ownerProcess = fileURLToPath(new URL('owner-process.ts', import.meta.url));

describe('the lock of a shard directory', () => {
  let directory = '';
  const children: ChildProcess[] = [];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'permafrost-lock-'));
  });

  afterEach(async () => {
    for (const child of children.splice(0)) await kill(child);
    rmSync(directory, { recursive: true });
  });

  /** A process that owns the directory; undefined when it was refused. */
  async function startOwner(): Promise<ChildProcess | undefined> {
    const child = spawn(process.execPath, [ownerProcess, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    const [said] = await once(child.stdout, 'data');
    if (String(said) === 'refused: owned\n') return undefined;
    assert.equal(String(said), 'owned\n');
    return child;
  }

  test('is refused to a second owner in the same process, and free again when it was given back', async () => {
    const lock = directoryLock(directory);
    const held = await lock.acquire();
    await assert.rejects(lock.acquire(), { code: 'owned', details: { directory, pid: process.pid, host: hostname() } });
    held.release();
    (await lock.acquire()).release();
  });

  test('is not lost by a second owner that was refused in the same process', async () => {
    const held = await directoryLock(directory).acquire();
    await assert.rejects(directoryLock(directory).acquire(), { code: 'owned' });
    assert.equal(await startOwner(), undefined);
    held.release();
  });

  test('is refused while another process owns it, with the name of that process', async () => {
    const owner = await startOwner();
    await assert.rejects(directoryLock(directory).acquire(), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'owned');
      assert.match(error.message, new RegExp(`process ${owner?.pid} `));
      assert.ok(error.message.includes(directory));
      return true;
    });
  });

  test('is free as soon as its owner was killed with SIGKILL', async () => {
    await kill(await startOwner());
    (await directoryLock(directory).acquire()).release();
  });

  test('is never written to, so that no crash can damage it', async () => {
    const held = await directoryLock(directory).acquire();
    held.release();
    assert.equal(readFileSync(join(directory, lockFile)).length, 0);
  });

  test('is held, and given back, where its owner cannot leave a name', async () => {
    mkdirSync(join(directory, lockOwnerFile));
    const held = await directoryLock(directory).acquire();
    await assert.rejects(directoryLock(directory).acquire(), { code: 'owned', message: /another process/ });
    held.release();
    (await directoryLock(directory).acquire()).release();
    assert.deepEqual(openBelow(directory), []);
  });

  test('leaves nothing open when it is refused', async () => {
    const owner = await startOwner();
    await assert.rejects(directoryLock(directory).acquire(), { code: 'owned' });
    assert.deepEqual(openBelow(directory), []);
    await kill(owner);
    rmSync(join(directory, lockFile));
    writeFileSync(join(directory, lockFile), 'x'.repeat(1000));
    await assert.rejects(directoryLock(directory).acquire(), { code: 'lock-failed' });
    assert.deepEqual(openBelow(directory), []);
  });

  test('says so when its file is not a lock at all', async () => {
    writeFileSync(join(directory, lockFile), 'x'.repeat(1000));
    await assert.rejects(directoryLock(directory).acquire(), { code: 'lock-failed' });
  });
});

/** Files below the directory that this process holds open. */
function openBelow(directory: string): string[] {
  const open = readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      return readlinkSync(join('/proc/self/fd', descriptor));
    } catch {
      return [];
    }
  });
  return open.filter((path) => path.startsWith(directory));
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  assert.ok(child !== undefined, 'the process owns the directory');
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
