// The cluster's certificates, made once per state by openssl: Node can check X.509 but not sign it.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';
import { addresses, kubeconfigPath, paths } from './paths.ts';

export const nodeName = 'lab';
export const certificate = (name: string) => join(paths.certs, `${name}.crt`);
export const key = (name: string) => join(paths.certs, `${name}.key`);

interface Identity {
  readonly name: string;
  readonly subject: string;
  readonly alternativeNames?: string;
}

const identities: readonly Identity[] = [
  {
    name: 'apiserver',
    subject: '/CN=kube-apiserver',
    alternativeNames: [
      ...['127.0.0.1', '10.96.0.1', addresses.node].map((ip) => `IP:${ip}`),
      ...['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'].map((dns) => `DNS:${dns}`),
    ].join(','),
  },
  { name: 'apiserver-kubelet-client', subject: '/O=system:masters/CN=kube-apiserver-kubelet-client' },
  { name: 'admin', subject: '/O=system:masters/CN=admin' },
  {
    name: 'kubelet',
    subject: `/O=system:nodes/CN=system:node:${nodeName}`,
    alternativeNames: `IP:${addresses.node},DNS:${nodeName}`,
  },
  { name: 'controller-manager', subject: '/CN=system:kube-controller-manager' },
  { name: 'scheduler', subject: '/CN=system:kube-scheduler' },
  { name: 'proxy', subject: '/CN=system:kube-proxy' },
  { name: 'coredns', subject: '/O=system:masters/CN=coredns' },
];

const days = '3650';
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** True when all were made; `service-account.key` is the last. */
export const hasCertificates = () => existsSync(key('service-account')) && existsSync(kubeconfigPath);

export async function makeCertificates(): Promise<void> {
  if (hasCertificates()) return;
  await run('openssl', [
    ...['req', '-x509', ...newKey, '-keyout', key('ca'), '-out', certificate('ca'), '-days', days],
    ...['-subj', '/CN=slipway-lab', '-addext', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature'],
  ]);
  await Promise.all(identities.map(sign));
  for (const { name } of identities) writeKubeconfig(name, join(paths.certs, `${name}.kubeconfig`));
  writeKubeconfig('admin', kubeconfigPath);
  await run('openssl', ['genrsa', '-out', key('service-account.new'), '2048']);
  await run('openssl', ['rsa', '-in', key('service-account.new'), '-out', key('service-account')]);
  rmSync(key('service-account.new'));
}

async function sign({ name, subject, alternativeNames }: Identity): Promise<void> {
  const request = join(paths.certs, `${name}.csr`);
  const extensions = join(paths.certs, `${name}.ext`);
  writeFileSync(
    extensions,
    [
      'basicConstraints=CA:FALSE',
      'keyUsage=critical,digitalSignature',
      'extendedKeyUsage=serverAuth,clientAuth',
      ...(alternativeNames === undefined ? [] : [`subjectAltName=${alternativeNames}`]),
    ].join('\n'),
  );
  await run('openssl', ['req', ...newKey, '-keyout', key(name), '-out', request, '-subj', subject]);
  await run('openssl', [
    ...['x509', '-req', '-in', request, '-CA', certificate('ca'), '-CAkey', key('ca'), '-days', days],
    ...['-set_serial', `0x${Buffer.from(name).toString('hex').slice(0, 30)}`],
    ...['-extfile', extensions, '-out', certificate(name)],
  ]);
  rmSync(request);
  rmSync(extensions);
}

function writeKubeconfig(user: string, path: string): void {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'slipway-lab', cluster: { server: addresses.apiServer, 'certificate-authority': certificate('ca') } },
    ],
    users: [{ name: user, user: { 'client-certificate': certificate(user), 'client-key': key(user) } }],
    contexts: [{ name: 'slipway-lab', context: { cluster: 'slipway-lab', user } }],
    'current-context': 'slipway-lab',
  };
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}
