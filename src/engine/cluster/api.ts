import type { IncomingMessage, RequestOptions } from 'node:http';
import * as http from 'node:http';
import * as https from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { CancelledError, isCancelled, SlipwayError } from '../problems/index.ts';
import { refuseCredential } from './execCredential.ts';
import { at, listOf, textOf } from './object.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path with query, for example `/api/v1/namespaces/shop/pods?limit=500`. */
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** Milliseconds for the answer to begin. Default 30 s. */
  readonly timeoutMs?: number;
}

/** The API server's refusal, still in its own terms. `code` of the error is `api.<reason>`. */
export class ApiError extends SlipwayError {
  readonly status: number;
  /** The `Status` object when the answer was one. */
  readonly body: unknown;

  constructor(status: number, body: unknown, request: string, text: string) {
    const reason = textOf(at(body, 'reason')) ?? REASONS[status] ?? `Http${status}`;
    const message = textOf(at(body, 'message')) ?? text.slice(0, 500).trim();
    super({
      reason: 'cluster',
      code: `api.${reason}`,
      message: `The API server refused ${request}: ${message || `status ${status}`}`,
      ...fixFor(status, message),
      evidence: [
        message,
        ...listOf(at(body, 'details', 'causes')).map(
          (cause) => `${textOf(cause.field) ?? ''}: ${textOf(cause.message) ?? ''}`,
        ),
      ],
    });
    this.status = status;
    this.body = body;
  }
}

const REASONS: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
};

function fixFor(status: number, message: string): { readonly fix?: string } {
  if (status === 401) return { fix: 'Your credentials have expired or are wrong: log in to the cluster again.' };
  if (status === 403) {
    const right = /cannot (\w+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?/.exec(
      message,
    );
    if (right === null) return {};
    const [, verb, resource, group, namespace] = right;
    return {
      fix: `Ask for the right to ${verb} ${resource}${group === '' ? '' : `.${group}`}${namespace === undefined ? '' : ` in namespace ${namespace}`}.`,
    };
  }
  return {};
}

/**
 * Plain HTTP to one API server with the kubeconfig's TLS, credentials and proxy. Retries what is safe to repeat:
 * throttled requests (429 with Retry-After, API priority and fairness), reads that met a broken connection, and once what was
 * refused for credentials that an exec plugin can renew.
 */
export class Api {
  readonly #config: KubeConfig;
  readonly #base: URL;
  #options: Promise<RequestOptions> | undefined;
  #optionsUntil = 0;

  constructor(config: KubeConfig) {
    this.#config = config;
    const server = config.getCurrentCluster()?.server ?? '';
    this.#base = new URL(server.endsWith('/') ? server : `${server}/`);
  }

  get server(): string {
    return this.#base.origin;
  }

  /** Parsed JSON of a successful answer. Throws ApiError, SlipwayError `cluster` (unreachable) or CancelledError. */
  async json<T>(request: ApiRequest): Promise<T> {
    const answer = await this.#send(request);
    return JSON.parse(await readAll(answer, request.signal)) as T;
  }

  async text(request: ApiRequest): Promise<string> {
    return readAll(await this.#send(request), request.signal);
  }

  /** The open answer of a watch or a followed log. The caller ends it by the signal. */
  stream(request: ApiRequest): Promise<IncomingMessage> {
    return this.#send(request);
  }

  async #send(request: ApiRequest): Promise<IncomingMessage> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const connection = await this.#connection();
        const answer = await this.#once(request, connection);
        const status = answer.statusCode ?? 0;
        if (status >= 200 && status < 300) return answer;
        const text = await readAll(answer, request.signal).catch(() => '');
        if (status === 401 && attempt === 1 && (await refuseCredential(this.#config, connection))) {
          if ((await this.#options) === connection) this.#options = undefined;
          continue;
        }
        const wait = Number(answer.headers['retry-after'] ?? Number.NaN);
        if ((status === 429 || (status === 503 && Number.isFinite(wait))) && attempt <= 5) {
          await pause((Number.isFinite(wait) ? Math.min(wait, 10) : 1) * 1000, request.signal);
          continue;
        }
        let body: unknown;
        try {
          body = JSON.parse(text);
        } catch {
          // A proxy in between answers in HTML; the text is what there is.
        }
        throw new ApiError(status, body, `${request.method} ${request.path.split('?')[0]}`, text);
      } catch (error) {
        if (request.signal?.aborted) throw new CancelledError();
        if (SlipwayError.is(error)) throw error;
        const isBroken = ['ECONNRESET', 'EPIPE', 'ECONNREFUSED'].includes((error as NodeJS.ErrnoException).code ?? '');
        if (request.method === 'GET' && isBroken && attempt <= 2) {
          await pause(200 * attempt, request.signal);
          continue;
        }
        throw this.#unreachable(error);
      }
    }
  }

  async #once(request: ApiRequest, options: RequestOptions): Promise<IncomingMessage> {
    const url = new URL(request.path.replace(/^\//, ''), this.#base);
    const payload = request.body === undefined ? undefined : JSON.stringify(request.body);
    const { request: open } = url.protocol === 'http:' ? http : https;
    return new Promise((resolve, reject) => {
      const outgoing = open(
        url,
        {
          ...options,
          method: request.method,
          headers: {
            ...options.headers,
            accept: request.accept ?? 'application/json',
            'user-agent': 'slipway',
            ...(payload !== undefined && {
              'content-type': request.contentType ?? 'application/json',
              'content-length': Buffer.byteLength(payload),
            }),
          },
          ...(request.signal !== undefined && { signal: request.signal }),
        },
        (answer) => {
          clearTimeout(timer);
          resolve(answer);
        },
      );
      const timer = setTimeout(
        () => outgoing.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })),
        request.timeoutMs ?? 30_000,
      );
      outgoing.on('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      outgoing.end(payload);
    });
  }

  /** TLS and credentials; asked for again every minute, as exec plugins and token files renew theirs. */
  #connection(): Promise<RequestOptions> {
    if (this.#options === undefined || Date.now() > this.#optionsUntil) {
      this.#optionsUntil = Date.now() + 60_000;
      const previous = this.#options;
      this.#options = (async () => {
        const options: https.RequestOptions = {};
        await this.#config.applyToHTTPSOptions(options);
        const agent = options.agent as https.Agent | undefined;
        // Connections are kept: a rollout makes hundreds of small requests, and a TLS handshake each would dominate.
        const old = previous === undefined ? undefined : ((await previous).agent as https.Agent | undefined);
        // Proxy agents are other classes and are used as they are.
        if (agent !== undefined && agent.constructor === https.Agent) {
          if (old !== undefined && JSON.stringify(credentials(old)) === JSON.stringify(credentials(agent))) {
            return { ...options, agent: old };
          }
          return { ...options, agent: new https.Agent({ ...optionsOf(agent), keepAlive: true, maxSockets: 64 }) };
        }
        return options;
      })().catch((error: unknown) => {
        this.#options = undefined;
        if (SlipwayError.is(error) || isCancelled(error)) throw error;
        throw new SlipwayError(
          {
            reason: 'cluster',
            code: 'kubeconfig.credentials',
            message: `Credentials for ${this.server} could not be had: ${error instanceof Error ? error.message : String(error)}`,
            fix: 'Log in to the cluster again, or check the exec plugin of the kubeconfig.',
          },
          { cause: error },
        );
      });
    }
    return this.#options;
  }

  #unreachable(error: unknown): SlipwayError {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const text = error instanceof Error ? error.message : String(error);
    const isTls = /^(CERT_|ERR_TLS|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_SSL)/.test(code);
    return new SlipwayError(
      {
        reason: 'cluster',
        code: isTls ? 'cluster.tls' : 'cluster.unreachable',
        message: `The API server ${this.server} ${isTls ? 'shows a certificate that is not trusted' : 'cannot be reached'}: ${text}`,
        fix: isTls
          ? 'Check certificate-authority in the kubeconfig.'
          : 'Check that the cluster runs and that VPN or proxy are on.',
      },
      { cause: error },
    );
  }
}

const optionsOf = (agent: https.Agent): https.AgentOptions =>
  (agent as unknown as { readonly options: https.AgentOptions }).options;

function credentials(agent: https.Agent): unknown {
  const { ca, cert, key } = optionsOf(agent);
  return [ca, cert, key].map((value) => value?.toString());
}

function readAll(answer: IncomingMessage, signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    answer.on('data', (chunk: Buffer) => chunks.push(chunk));
    answer.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    answer.on('error', (error) => reject(signal?.aborted ? new CancelledError() : error));
  });
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        reject(new CancelledError());
      },
      { once: true },
    );
  });
}
