// Every kind of smoke check against real pods: port-forward, node port, ingress host, TLS, TCP, exec, command; every
// expectation met and not met.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystem, Engine, type SmokeReport } from '../../src/engine/main.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const env: NodeJS.ProcessEnv = { ...process.env, ...lab.env, CI: '1' };
const namespace = 'smoke-kinds';
const root = mkdtempSync(join(tmpdir(), 'slipway-smoke-'));
const kubectl = (input: string, ...args: readonly string[]) =>
  spawnSync('kubectl', args, { env, input, encoding: 'utf8' });
const clean = () => kubectl('', 'delete', 'namespace', namespace, '--ignore-not-found', '--wait');

execFileSync(
  'openssl',
  [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=shop.example.com'],
    ...['-keyout', join(root, 'tls.key'), '-out', join(root, 'tls.crt')],
  ],
  { stdio: 'pipe' },
);
const indented = (file: string): string => readFileSync(join(root, file), 'utf8').trim().replaceAll('\n', '\n    ');

// Answers JSON on 8080 and the same with TLS on 8443; says which host it was asked for.
const server = `
import http.server, json, ssl, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/slow': time.sleep(1.5)
        body = json.dumps({'status': 'ok', 'host': self.headers.get('Host'), 'items': [{'name': 'tea'}]}).encode()
        self.send_response(503 if self.path == '/down' else 302 if self.path == '/moved' else 200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('X-Version', '2')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        length = int(self.headers.get('Content-Length', 0))
        body = self.rfile.read(length)
        self.send_response(201)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
secured = http.server.ThreadingHTTPServer(('', 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('/files/tls.crt', '/files/tls.key')
secured.socket = context.wrap_socket(secured.socket, server_side=True)
threading.Thread(target=secured.serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer(('', 8080), Handler).serve_forever()
`;
const manifests = `apiVersion: v1
kind: Secret
metadata: { name: files }
stringData:
  tls.crt: |
    ${indented('tls.crt')}
  tls.key: |
    ${indented('tls.key')}
  server.py: |
    ${server.trim().replaceAll('\n', '\n    ')}
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  type: NodePort
  selector: { app: web }
  ports:
    - { name: http, port: 80, targetPort: http }
    - { name: https, port: 443, targetPort: https }
    - { name: closed, port: 9, targetPort: 9 }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop }
spec:
  rules: [{ host: shop.example.com, http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: web, port: { name: http } } } }] } }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: ${lab.registry}/base/django:3.2
          command: [python3, /files/server.py]
          ports: [{ name: http, containerPort: 8080 }, { name: https, containerPort: 8443 }]
          readinessProbe: { httpGet: { path: /, port: http }, periodSeconds: 1 }
          volumeMounts: [{ name: files, mountPath: /files }]
      volumes: [{ name: files, secret: { secretName: files } }]
`;
mkdirSync(join(root, 'k8s'));
writeFileSync(join(root, 'k8s', 'app.yaml'), manifests);
writeFileSync(join(root, 'Dockerfile'), 'FROM scratch\n');
execFileSync('git', ['init', '-q'], { cwd: root });
const system = createSystem({ env });

/** Checks by the text that slipway.yaml would have. */
async function smoke(checks: readonly string[]): Promise<SmokeReport> {
  const file = join(root, 'slipway.yaml');
  writeFileSync(
    file,
    `version: 1
images: { web: { repository: ${lab.registry}/smoke/none } }
tags: ["{sha}"]
environments:
  dev:
    namespace: ${namespace}
    deploy: { manifests: { paths: k8s, images: [] } }
    smoke:
${checks.map((check) => `      - ${check}\n`).join('')}`,
  );
  const engine = new Engine({ system, root });
  const { diagnostics } = await engine.project();
  assert.deepEqual(
    diagnostics.filter(({ severity }) => severity === 'error'),
    [],
  );
  return (await engine.operations()).smoke({}, { signal: new AbortController().signal });
}
const port = (name: string): string =>
  kubectl('', '-n', namespace, 'get', 'svc', 'web', '-o', `jsonpath={.spec.ports[?(@.name=="${name}")].nodePort}`)
    .stdout;

test('it is up', async () => {
  kubectl('', 'create', 'namespace', namespace);
  const applied = kubectl(manifests, '-n', namespace, 'apply', '-f', '-');
  assert.equal(applied.status, 0, applied.stderr);
  assert.equal(kubectl('', '-n', namespace, 'rollout', 'status', 'deploy/web').status, 0);
  // No controller runs here: the address that one would write is that of the node.
  const status = { status: { loadBalancer: { ingress: [{ ip: lab.nodeAddress }] } } };
  const patched = kubectl(
    '',
    ...[
      '-n',
      namespace,
      'patch',
      'ingress',
      'shop',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify(status),
    ],
  );
  assert.equal(patched.status, 0, patched.stderr);
});

test('every way to the app, and every expectation met', async () => {
  const { results } = await smoke([
    'get: service/web:http/',
    '{ get: "service/web:https/", tls: true, json: { status: ok } }',
    '{ get: "nodeport/web:http/", json: { "items[0].name": tea } }',
    '{ get: "nodeport/web:https/", tls: true, expectHeaders: { X-Version: "2" } }',
    `{ get: "ingress/shop.example.com:${port('http')}/", json: { host: shop.example.com } }`,
    `{ get: "ingress/shop.example.com:${port('https')}/", tls: true }`,
    '{ get: "service/web:http/moved", status: 302 }',
    '{ get: "service/web:http/", matches: "\\"status\\": ?\\"ok\\"", latency: 30s, contains: tea }',
    '{ post: "service/web:http/orders", body: "one tea", status: [200, 201], contains: one tea }',
    'tcp: service/web:https',
    'tcp: nodeport/web:http',
    '{ exec: { workload: deploy/web, command: [python3, -c, "print(6*7)"] }, contains: "42" }',
    '{ run: [sh, -c, "test $GREETING = hello"], env: { GREETING: hello } }',
  ]);
  assert.deepEqual(
    results.filter(({ isOk }) => !isOk),
    [],
  );
});

test('every expectation not met says what was there instead', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['{ get: "service/web:http/down", timeout: 1s }', /status 503 instead of 200/],
    ['{ get: "service/web:http/", contains: coffee, timeout: 3s }', /does not contain "coffee": \{"status"/],
    ['{ get: "service/web:http/", matches: "^coffee$", timeout: 3s }', /does not match/],
    [
      '{ get: "service/web:http/", json: { "items[0].name": coffee }, timeout: 3s }',
      /items\[0\]\.name is "tea" instead of "coffee"/,
    ],
    ['{ get: "service/web:http/", json: { "items[1].name": tea }, timeout: 3s }', /the JSON has no items\[1\]\.name/],
    [
      '{ get: "service/web:http/", expectHeaders: { X-Version: "3" }, timeout: 3s }',
      /header X-Version is "2" instead of "3"/,
    ],
    ['{ get: "service/web:http/", expectHeaders: { X-Nothing: "1" }, timeout: 3s }', /no header X-Nothing/],
    ['{ get: "service/web:http/slow", latency: 1s, timeout: 6s }', /it took \d+ ms instead of at most 1000 ms/],
    // A greeting of TLS is random: the server answers it as a bad request, hangs up, or waits for the end of the line.
    [
      '{ get: "service/web:http/", tls: true, timeout: 2s }',
      /the port does not speak TLS|closed without an answer|no answer within [\d.]+ s/,
    ],
    ['{ get: "service/web:closed/", timeout: 2s }', /does not answer/],
    ['{ tcp: "service/web:closed", timeout: 2s }', /does not answer/],
    [
      '{ exec: { workload: deploy/web, command: [sh, -c, "echo no >&2; exit 3"] }, timeout: 1s }',
      /ended with code 3: no/,
    ],
    ['{ exec: { workload: deploy/none, command: [id] }, timeout: 1s }', /deploy\/none does not exist/],
    ['{ run: [sh, -c, "echo broken; exit 4"], timeout: 1s }', /ended with code 4: broken/],
  ];
  const { results } = await smoke(cases.map(([check]) => check));
  for (const [index, [check, words]] of cases.entries()) {
    const result = results[index];
    assert.ok(result !== undefined && !result.isOk, check);
    assert.match(result.message, words);
  }
});

test('a target that is not there is a mistake of the configuration, said with what there is', async () => {
  await assert.rejects(smoke(['get: service/wbe:http/']), /There is no service wbe .*web/);
  await assert.rejects(smoke(['get: service/web:htp/']), /has no port htp; it has http \(80\)/);
  await assert.rejects(smoke(['get: ingress/other.example.com/']), /No ingress in .* has the host other.example.com/);
});

test('a check goes on over replaced pods', async () => {
  const pods = kubectl('', '-n', namespace, 'delete', 'pods', '-l', 'app=web', '--wait=false');
  assert.equal(pods.status, 0);
  const { results } = await smoke(['{ get: "service/web:http/", timeout: 60s }']);
  assert.ok(results[0]?.isOk, results[0]?.message);
});

clean();
await run('smokeKinds', async () => {
  await system.processes.dispose();
  clean();
  rmSync(root, { recursive: true, force: true });
});
