// Locks between processes that can never go stale: an abstract Unix socket belongs to the process that listens on it,
// and the kernel frees the name when that process ends, however it ends. Waiting is a connection to the holder.
import { createHash } from 'node:crypto';
import { createConnection, createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { paths } from './paths.ts';

/**
 * Runs `fn` while holding the lock `name` of this lab; `who` is told to those who wait.
 * @param onWait called once with the holder's `who` when the lock is taken.
 */
export async function withLock<T>(
  name: string,
  who: string,
  fn: () => Promise<T>,
  onWait: (holder: string) => void = () => {},
): Promise<T> {
  const address = `\0slipway-lab-${createHash('sha256').update(paths.state).digest('hex').slice(0, 12)}-${name}`;
  let hasTold = false;
  for (;;) {
    const server = await listen(address, `${who} (pid ${process.pid})`);
    if (server !== undefined) {
      try {
        return await fn();
      } finally {
        server.close();
        server.closeAllWaiters();
      }
    }
    await waitForHolder(address, (holder) => {
      if (!hasTold) onWait(holder);
      hasTold = true;
    });
  }
}

interface Held {
  readonly close: () => void;
  readonly closeAllWaiters: () => void;
}

function listen(address: string, who: string): Promise<Held | undefined> {
  return new Promise((resolve, reject) => {
    const waiters = new Set<{ destroy(): void }>();
    const server: Server = createServer((socket) => {
      waiters.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => waiters.delete(socket));
      // A waiter must not keep a finished holder alive.
      socket.unref();
      socket.write(who);
    });
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(address, () => {
      server.unref();
      resolve({
        close: () => server.close(),
        closeAllWaiters: () => {
          for (const waiter of waiters) waiter.destroy();
        },
      });
    });
  });
}

async function waitForHolder(address: string, onHolder: (holder: string) => void): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = createConnection(address);
    socket.on('data', (bytes) => onHolder(bytes.toString()));
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });
  // Many waiters wake at once; a little chance decides who is next.
  await sleep(5 + Math.random() * 40);
}
