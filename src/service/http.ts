import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { assert } from '../base/assert.ts';

/** One page. `body` is called at each request; a failure of it is answered with status 500 and no detail. */
export interface HttpPage {
  readonly contentType: string;
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether it is answered without the token, too: for probes, which cannot carry one. Default: no. */
  readonly isOpen?: boolean;
  body(): Promise<{ readonly status: number; readonly text: string }>;
}

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** Ends all connections, idle ones and those in the middle of a request alike. */
  close(): Promise<void>;
}

const connectionsMax = 64;
const requestTimeoutMs = 10_000;
const headersTimeoutMs = 5000;
/** For a connection on which nothing moves, as of someone who asks and does not read. */
const idleTimeoutMs = 10_000;
const headerBytesMax = 8192;
const everyHeader = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
};

/** Where to listen, and the bearer token that pages ask for; none if empty. */
export interface HttpAddress {
  readonly host: string;
  readonly port: number;
  readonly token?: string;
}

/** Serves `pages` (by path) to GET and HEAD. Bounded in connections, header bytes and time; bodies are not read. */
export async function serveHttp(address: HttpAddress, pages: Readonly<Record<string, HttpPage>>): Promise<HttpServer> {
  const limits = { requestTimeout: requestTimeoutMs, headersTimeout: headersTimeoutMs, maxHeaderSize: headerBytesMax };
  const server = createServer(
    limits,
    (request, response) => void answer(pages, address.token ?? '', request, response),
  );
  server.maxConnections = connectionsMax;
  server.setTimeout(idleTimeoutMs);
  server.listen(address.port, address.host);
  await once(server, 'listening');
  const bound = server.address();
  assert(typeof bound === 'object' && bound !== null, 'a server that listens has an address');
  return { host: address.host, port: bound.port, close: () => closeServer(server) };
}

async function answer(
  pages: Readonly<Record<string, HttpPage>>,
  token: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  for (const [name, value] of Object.entries({ ...everyHeader, ...page?.headers })) response.setHeader(name, value);
  if (page === undefined) return send(response, 404, 'text/plain', 'not found\n', request);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return send(response, 405, 'text/plain', 'only GET and HEAD\n', request);
  }
  if (page.isOpen !== true && !isAllowed(request, token)) {
    response.setHeader('www-authenticate', 'Bearer');
    return send(response, 401, 'text/plain', 'this page asks for a token\n', request);
  }
  try {
    const { status, text } = await page.body();
    send(response, status, page.contentType, text, request);
  } catch {
    send(response, 500, 'text/plain', 'this page failed\n', request);
  }
}

/** Compared in a time that tells nothing of how much was right. */
function isAllowed(request: IncomingMessage, token: string): boolean {
  if (token === '') return true;
  const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(createHash('sha256').update(given).digest(), createHash('sha256').update(token).digest());
}

function send(response: ServerResponse, status: number, type: string, text: string, request: IncomingMessage): void {
  // What a request carries is not read: the connection ends with the answer.
  if (hasBody(request)) response.setHeader('connection', 'close');
  const body = Buffer.from(text);
  response.writeHead(status, { 'content-type': type, 'content-length': body.length, 'cache-control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
