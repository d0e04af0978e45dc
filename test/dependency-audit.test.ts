/**
 * No dependency that is installed in production has a known weakness of high or critical severity. It is asked of the
 * package registry; where that does not answer such questions, or not in time, the test is skipped and says so.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const answerTimeoutMs = 60_000;

/** What was found, or why nothing could be asked. */
type Audit = { readonly severe: readonly string[] } | { readonly unanswered: string };

interface Report {
  readonly message?: string;
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string }>>;
}

/** Reads the report of `npm audit --json`. */
function auditOf(text: string): Audit {
  let report: Report;
  try {
    report = JSON.parse(text);
  } catch {
    return { unanswered: 'npm audit gave no report' };
  }
  if (report.vulnerabilities === undefined) {
    // The address of a registry is nobody's business.
    return { unanswered: (report.message ?? 'no answer').replace(/ - .*| https?:.*/s, '') };
  }
  const severe = Object.entries(report.vulnerabilities).filter(([, { severity }]) =>
    /^(high|critical)$/.test(severity),
  );
  return { severe: severe.map(([name, { severity }]) => `${name}: ${severity}`) };
}

function askRegistry(): Promise<Audit> {
  const words = ['audit', '--json', '--omit=dev'];
  return new Promise((resolve) => {
    // The status says whether something was found, and so does the report.
    execFile('npm', words, { cwd: root, timeout: answerTimeoutMs }, (_error, stdout) => resolve(auditOf(stdout)));
  });
}

test('no dependency in production has a known weakness of high or critical severity', async (t) => {
  const audit = await askRegistry();
  if ('unanswered' in audit) t.skip(`the registry does not audit: ${audit.unanswered}`);
  else assert.deepEqual(audit.severe, []);
});

test('an audit names what is high or critical, and says when there was no answer', () => {
  const vulnerabilities = { 'a-package': { severity: 'high' }, another: { severity: 'moderate' } };
  assert.deepEqual(auditOf(JSON.stringify({ vulnerabilities })), { severe: ['a-package: high'] });
  assert.deepEqual(auditOf(JSON.stringify({ vulnerabilities: {} })), { severe: [] });
  assert.deepEqual(auditOf(JSON.stringify({ message: '405 Method Not Allowed - POST https://host/path' })), {
    unanswered: '405 Method Not Allowed',
  });
  assert.deepEqual(auditOf(''), { unanswered: 'npm audit gave no report' });
});
