import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * Stands between a client and Redis and can lose an answer: the command reaches Redis and is carried out, the
 * connection breaks before the client hears of it.
 */
export class LossyProxy {
  readonly #server: Server;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #trap: { readonly text: string; readonly sprung: () => void } | undefined;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.#port = port;
  }

  static async start(redisPort: number): Promise<LossyProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new LossyProxy(server, redisPort);
    server.on('connection', (client) => proxy.#join(client));
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    return `redis://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  }

  /** Loses the answer to the next command that holds the text, once; resolves when that has happened. */
  loseAnswerTo(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.#trap = { text, sprung: resolve };
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #join(client: Socket): void {
    const redis = connect(this.#port, '127.0.0.1');
    const both = [client, redis];
    const end = (): void => {
      for (const socket of both) socket.destroy();
    };
    let sprung: (() => void) | undefined;
    for (const socket of both) {
      this.#sockets.add(socket);
      socket.on('error', end).on('close', () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    client.on('data', (bytes) => {
      if (this.#trap !== undefined && bytes.includes(this.#trap.text)) {
        sprung = this.#trap.sprung;
        this.#trap = undefined;
      }
      redis.write(bytes);
    });
    redis.on('data', (bytes) => {
      if (sprung === undefined) client.write(bytes);
      else {
        end();
        sprung();
      }
    });
  }
}
