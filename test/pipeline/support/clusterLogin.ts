// Ways into the cluster that people have beside a certificate in a file: a proxy, and a program that logs in.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A proxy that only connects, and says so, in a process of its own: the test waits for the command. */
const proxyProgram = `
const { createServer } = require('node:http');
const { connect } = require('node:net');
const [name, real] = process.argv.slice(1);
const server = createServer((_, response) => response.writeHead(405).end());
server.on('connect', ({ url }, client, head) => {
  const [host, port] = url.split(':');
  const way = connect(Number(port), host === name ? real : host, () => {
    client.write('HTTP/1.1 200 Connection Established\\r\\n\\r\\n');
    way.write(head);
    way.pipe(client).pipe(way);
    process.stdout.write('connect ' + url + '\\n');
  });
  for (const one of [way, client]) one.on('error', () => way.destroy() && client.destroy());
});
server.listen(0, '127.0.0.1', () => process.stdout.write('port ' + server.address().port + '\\n'));
`;

export interface ConnectProxy {
  readonly url: string;
  /** Ends it and gives `host:port` of every connection it made. */
  close(): Promise<readonly string[]>;
}

/** `alias` is a name for `real` that nobody else knows: who reaches it, came through the proxy. */
export async function startProxy(alias: string, real: string): Promise<ConnectProxy> {
  const child = spawn(process.execPath, ['-e', proxyProgram, alias, real], { stdio: ['ignore', 'pipe', 'inherit'] });
  let told = '';
  const port = await new Promise<string>((resolve) => {
    child.stdout.on('data', (bytes: Buffer) => {
      told += bytes.toString('utf8');
      const found = /port (\d+)/.exec(told)?.[1];
      if (found !== undefined) resolve(found);
    });
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      child.kill();
      await ended;
      return [...told.matchAll(/^connect (.*)$/gm)].map(([, host = '']) => host);
    },
  };
}

/** Notes each start with what it was told, and prints the answer that lies beside it, or fails with the words there. */
const loginProgram = `
import { appendFileSync, existsSync, readFileSync, renameSync } from 'node:fs';
const folder = process.argv[2];
appendFileSync(folder + '/starts', (process.env.KUBERNETES_EXEC_INFO ?? '') + '\\n');
if (existsSync(folder + '/refusal')) {
  console.error(readFileSync(folder + '/refusal', 'utf8'));
  process.exit(1);
}
const answer = readFileSync(folder + '/answer', 'utf8');
if (existsSync(folder + '/next')) renameSync(folder + '/next', folder + '/answer');
console.log(answer);
`;

export interface Credential {
  readonly token?: string;
  readonly clientCertificateData?: string;
  readonly clientKeyData?: string;
  readonly expirationTimestamp?: string;
}

/** A program as a kubeconfig names it under `exec`. */
export class LoginProgram {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    writeFileSync(join(folder, 'login.mjs'), loginProgram);
  }

  readonly exec = () => ({
    apiVersion: 'client.authentication.k8s.io/v1',
    command: process.execPath,
    args: [join(this.#folder, 'login.mjs'), this.#folder],
    interactiveMode: 'IfAvailable',
    provideClusterInfo: true,
    installHint: 'Get the login program from the platform team.',
  });

  /** The first credential is given once when there is a second. */
  gives(first: Credential, second?: Credential): void {
    for (const name of ['refusal', 'next']) rmSync(join(this.#folder, name), { force: true });
    this.#write('starts', '');
    this.#write('answer', envelope(first));
    if (second !== undefined) this.#write('next', envelope(second));
  }

  refuses(words: string): void {
    this.#write('refusal', words);
  }

  /** What it was told at each start since {@link gives}. */
  get starts(): readonly string[] {
    const path = join(this.#folder, 'starts');
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.#folder, name), text);
  }
}

const envelope = (status: Credential): string =>
  JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status });

interface Named {
  readonly name: string;
}
export interface KubeconfigFile {
  readonly 'current-context': string;
  readonly contexts: readonly (Named & { readonly context: { readonly cluster: string; readonly user: string } })[];
  readonly clusters: readonly (Named & {
    readonly cluster: Readonly<Record<string, unknown>> & { readonly server: string };
  })[];
  readonly users: readonly (Named & { readonly user: Readonly<Record<string, unknown>> })[];
}

/** The kubeconfig as kubectl reads it, one context, files put in. */
export function readKubeconfig(env: NodeJS.ProcessEnv): KubeconfigFile {
  const { stdout } = spawnSync('kubectl', ['config', 'view', '--raw', '--flatten', '--minify', '-o', 'json'], {
    env,
    encoding: 'utf8',
  });
  return JSON.parse(stdout) as KubeconfigFile;
}
