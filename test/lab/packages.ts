// Debian packages of the lab. Docker comes from trixie, where bookworm's is too old for multi-platform images.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { attempt, run } from './command.ts';
import type { Part } from './part.ts';
import { LabError } from './problem.ts';

interface DebianPackage {
  readonly name: string;
  /** A file that proves it is installed: asking dpkg would cost 50 ms for each warm `up`. */
  readonly file: string;
  readonly fromTrixie?: true;
}

const core: readonly DebianPackage[] = [
  { name: 'containerd', file: '/usr/bin/containerd' },
  { name: 'runc', file: '/usr/sbin/runc' },
  { name: 'docker.io', file: '/usr/sbin/dockerd', fromTrixie: true },
  { name: 'docker-cli', file: '/usr/bin/docker', fromTrixie: true },
  { name: 'docker-buildx', file: '/usr/libexec/docker/cli-plugins/docker-buildx', fromTrixie: true },
  { name: 'docker-registry', file: '/usr/bin/docker-registry' },
  { name: 'etcd-server', file: '/usr/bin/etcd' },
  { name: 'containernetworking-plugins', file: '/usr/lib/cni/bridge' },
  { name: 'iptables', file: '/usr/sbin/iptables' },
  { name: 'iproute2', file: '/usr/bin/ip' },
  { name: 'conntrack', file: '/usr/sbin/conntrack' },
  { name: 'socat', file: '/usr/bin/socat' },
  { name: 'openssl', file: '/usr/bin/openssl' },
  { name: 'mmdebstrap', file: '/usr/bin/mmdebstrap' },
  { name: 'debian-archive-keyring', file: '/usr/share/keyrings/debian-archive-keyring.gpg' },
  { name: 'arch-test', file: '/usr/bin/arch-test' },
  { name: 'qemu-user-static', file: '/usr/bin/qemu-aarch64-static' },
  { name: 'binfmt-support', file: '/usr/sbin/update-binfmts' },
];

export const vscodePackages: readonly DebianPackage[] = [
  { name: 'chromium', file: '/usr/bin/chromium' },
  { name: 'libkrb5-dev', file: '/usr/include/krb5.h' },
  { name: 'libsecret-1-dev', file: '/usr/include/libsecret-1/libsecret/secret.h' },
  { name: 'pkg-config', file: '/usr/bin/pkg-config' },
  { name: 'g++', file: '/usr/bin/g++' },
  { name: 'make', file: '/usr/bin/make' },
  { name: 'python3', file: '/usr/bin/python3' },
];

const trixieList = '/etc/apt/sources.list.d/slipway-lab-trixie.sources';
const trixiePin = '/etc/apt/preferences.d/slipway-lab-trixie';
const policyPath = '/usr/sbin/policy-rc.d';

/** The Debian release this machine runs, for example "bookworm". */
export function debianRelease(): string {
  return /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '';
}

/** Where this machine gets Debian from: the mirrors its own apt uses, without a trailing slash. */
export async function debianMirrors(): Promise<{ readonly main: string; readonly security: string | undefined }> {
  const format = '$(REPO_URI) $(CODENAME)';
  const targets = await run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  const uriOf = (codename: string) =>
    targets
      .split('\n')
      .map((target) => target.split(' '))
      .find(([, name]) => name === codename)?.[0]
      ?.replace(/\/$/, '');
  const main = uriOf(debianRelease());
  if (main === undefined) throw new LabError(`apt knows no Debian mirror for ${debianRelease()}; is this Debian?`);
  return { main, security: uriOf(`${debianRelease()}-security`) };
}

export const missingOf = (packages: readonly DebianPackage[]) => packages.filter(({ file }) => !existsSync(file));

/** Installs what is missing, without starting the services the packages bring. */
export async function installPackages(
  packages: readonly DebianPackage[],
  report: (text: string) => void,
): Promise<void> {
  const missing = missingOf(packages);
  if (missing.length === 0) return;
  if (!existsSync('/usr/bin/apt-get')) throw new LabError('The lab installs Debian packages; this machine has no apt.');
  if (process.getuid?.() !== 0) throw new LabError('The lab must run as root: it starts containers and networks.');
  report(`installing ${missing.map(({ name }) => name).join(' ')}`);
  const isBookworm = debianRelease() === 'bookworm';
  if (isBookworm && missing.some(({ fromTrixie }) => fromTrixie)) {
    const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
    writeFileSync(
      trixieList,
      `Types: deb\nURIs: ${(await debianMirrors()).main}\nSuites: trixie\nComponents: main\nSigned-By: ${keyring}\n`,
    );
    // Priority 100: trixie is there to be asked for by name, and never upgrades anything by itself.
    writeFileSync(trixiePin, 'Package: *\nPin: release n=trixie\nPin-Priority: 100\n');
  }
  await run('apt-get', ['update', '-q'], { log: 'apt-update', timeoutMs: 300_000 });
  const hasPolicy = existsSync(policyPath);
  // Installed daemons must not start by themselves: the lab starts its own, with its own settings.
  if (!hasPolicy) writeFileSync(policyPath, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const names = missing.map(({ name, fromTrixie }) => (fromTrixie && isBookworm ? `${name}/trixie` : name));
    const args = ['install', '-y', '-q', '--no-install-recommends', '-o', 'Dpkg::Use-Pty=0', ...names];
    await run('apt-get', args, {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      log: 'apt-install',
      timeoutMs: 1_200_000,
    });
  } finally {
    if (!hasPolicy) rmSync(policyPath, { force: true });
  }
  const still = missingOf(missing);
  if (still.length > 0)
    throw new LabError(`apt installed ${still.map(({ name, file }) => `${name} without ${file}`).join(', ')}.`);
}

/** Proxy and retry settings of the machine's apt, as lines for an apt.conf elsewhere (a chroot, an image build). */
export async function aptAcquireSettings(): Promise<string> {
  const { stdout } = await attempt('apt-config', ['dump', 'Acquire']);
  const wanted = /^Acquire::(https?::(Proxy|Verify)|Retries|Check-Valid-Until|Check-Date)/i;
  return stdout
    .split('\n')
    .filter((line) => wanted.test(line))
    .join('\n');
}

export const packagesPart: Part = {
  name: 'packages',
  what: 'Debian packages: Docker, containerd, registry, etcd, CNI, emulation',
  version: debianRelease(),
  group: 'core',
  needs: [],
  isPrepared: () => missingOf(core).length === 0,
  prepare: (report) => installPackages(core, report),
};
