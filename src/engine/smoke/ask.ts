import * as http from 'node:http';
import * as https from 'node:https';
import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { SlipwayError } from '../problems/index.ts';
import { type Answer, BODY_LIMIT } from './expectations.ts';

/** A way to the application: opens one connection to it. */
export interface Way {
  /** For people: the URL that was asked, or the pod and port. */
  readonly title: string;
  readonly host: string;
  /** A URL that a browser on this machine can open; absent for a port-forward. */
  readonly url?: string;
  open(signal: AbortSignal): Promise<Duplex>;
}

/** The application (or nothing) answered in the wrong way. */
export class AppFault extends Error {
  override readonly name = 'AppFault';
}

export interface HttpQuestion {
  readonly method: string;
  readonly path: string;
  readonly isTls: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
}

/**
 * One request on one connection. Redirects are answers, not followed. Throws {@link AppFault} when the application
 * refused, hung up or took too long, and SlipwayError when the way to it broke.
 */
export async function ask(way: Way, question: HttpQuestion, signal: AbortSignal): Promise<Answer> {
  const started = performance.now();
  const timer = AbortSignal.timeout(question.timeoutMs);
  const both = AbortSignal.any([signal, timer]);
  try {
    const connection = quiet(await way.open(both));
    const stream = question.isTls ? quiet(await secure(connection, way.host, both)) : connection;
    try {
      return await exchange(stream, way, question, started, both);
    } finally {
      stream.destroy();
      connection.destroy();
    }
  } catch (error) {
    if (signal.aborted) throw error;
    if (timer.aborted) throw new AppFault(`no answer within ${Math.round(question.timeoutMs / 100) / 10} s`);
    throw faultOf(error);
  }
}

/** An error after the answer, or of a stream that is given up, is nobody's business; unheard it would end the program. */
function quiet(stream: Duplex): Duplex {
  return stream.on('error', () => {});
}

/** Whether anything accepts a connection and keeps it for a moment. Errors as {@link ask}. */
export async function touch(way: Way, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const timer = AbortSignal.timeout(timeoutMs);
  const both = AbortSignal.any([signal, timer]);
  try {
    const connection = quiet(await way.open(both));
    try {
      await stays(connection);
    } finally {
      connection.destroy();
    }
  } catch (error) {
    if (signal.aborted) throw error;
    if (timer.aborted) throw new AppFault(`no connection within ${Math.round(timeoutMs / 100) / 10} s`);
    throw faultOf(error);
  }
}

/** A forward reports that nobody listens only after it has opened; a server may also speak or close at once, which is fine. */
const SETTLE_MS = 250;

function stays(connection: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, SETTLE_MS);
    connection.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    connection.once('data', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** A plain TCP way, for node ports, ingress addresses and URLs. */
export function openSocket(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ host, port });
    const onAbort = () => socket.destroy(new Error('aborted'));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      reject(error);
    });
    socket.once('close', () => signal.removeEventListener('abort', onAbort));
  });
}

/** Certificates are not judged: inside a cluster they are rarely for the name one asks by. */
function secure(connection: Duplex, host: string, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const isName = !/^[\d.]+$|:/.test(host);
    const stream = connectTls({
      socket: connection,
      rejectUnauthorized: false,
      ...(isName && { servername: host.replace(/:\d+$/, '') }),
    });
    const onAbort = () => stream.destroy(new Error('aborted'));
    signal.addEventListener('abort', onAbort, { once: true });
    quiet(stream).once('close', () => signal.removeEventListener('abort', onAbort));
    stream.once('secureConnect', () => resolve(stream));
    stream.once('error', reject);
    connection.once('error', reject);
  });
}

function exchange(
  stream: Duplex,
  way: Way,
  question: HttpQuestion,
  started: number,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    stream.once('error', reject);
    const request = (question.isTls ? https : http).request({
      method: question.method,
      path: question.path,
      host: way.host,
      headers: { 'User-Agent': 'slipway-smoke', Connection: 'close', Host: way.host, ...question.headers },
      createConnection: () => stream,
      signal,
    });
    request.once('error', reject);
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const finish = () => {
        const headers = Object.entries(response.headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join(', ') : (value ?? ''),
        ]);
        resolve({
          status: response.statusCode ?? 0,
          headers: Object.fromEntries(headers),
          body: Buffer.concat(chunks).subarray(0, BODY_LIMIT).toString('utf8'),
          latencyMs: performance.now() - started,
        });
      };
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size >= BODY_LIMIT) {
          finish();
          request.destroy();
        }
      });
      response.once('end', finish);
      response.once('error', reject);
    });
    request.end(question.body);
  });
}

/** Faults of sockets and protocols are the application's; a SlipwayError is the way's own, unless it says nobody listens. */
function faultOf(error: unknown): unknown {
  if (SlipwayError.is(error)) {
    return error.code === 'forward.refused' ? new AppFault(error.message) : error;
  }
  const code = (error as NodeJS.ErrnoException).code;
  const text = error instanceof Error ? error.message : String(error);
  switch (code) {
    case 'ECONNREFUSED':
      return new AppFault('the connection was refused');
    case 'ECONNRESET':
    case 'EPIPE':
      return new AppFault('the connection was closed without an answer');
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new AppFault(`the host name does not resolve (${text})`);
    default:
      // OpenSSL's words for an answer that is no TLS.
      if (/wrong version number|packet length too long/i.test(text))
        return new AppFault('the port does not speak TLS ("tls: true" asks for it)');
      return new AppFault(text);
  }
}
