import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Certificates of one authority, as PEM files in a directory of the caller's. */
export interface Certificates {
  readonly caFile: string;
  /** For a server at 127.0.0.1 whose name is `redis.test`, and for a client. */
  readonly certFile: string;
  readonly keyFile: string;
}

/** Why TLS cannot be tried here; `undefined` when it can. */
export function tlsMissing(): string | undefined {
  if (spawnSync('openssl', ['version']).error !== undefined) return 'no openssl on PATH to make certificates with';
  const server = spawnSync('redis-server', ['-'], { input: 'tls-port 0\nport 0\nsave ""\n', encoding: 'utf8' });
  if (server.error !== undefined) return 'no redis-server on PATH';
  return /bad directive|fatal config/i.test(server.stdout + server.stderr)
    ? 'redis-server was built without TLS'
    : undefined;
}

/** An authority and one certificate that it signed for these names (`IP:127.0.0.1,DNS:localhost`). */
export function makeCertificates(directory: string, names: string): Certificates {
  const at = (name: string): string => join(directory, name);
  const [caFile, caKey, certFile, keyFile, request] = ['ca.crt', 'ca.key', 'own.crt', 'own.key', 'own.csr'].map(at) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(['req', '-x509', ...key, '-keyout', caKey, '-out', caFile, '-subj', '/CN=authority', '-days', '2']);
  openssl(['req', ...key, '-keyout', keyFile, '-out', request, '-subj', '/CN=own']);
  writeFileSync(at('names'), `subjectAltName=${names}\n`);
  const signed = ['-CA', caFile, '-CAkey', caKey, '-CAcreateserial', '-extfile', at('names'), '-days', '2'];
  openssl(['x509', '-req', '-in', request, '-out', certFile, ...signed]);
  return { caFile, certFile, keyFile };
}

function openssl(args: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}
