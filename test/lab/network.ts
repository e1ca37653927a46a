// The machine's network as the lab changes it: the pods' bridge, firewall rules, namespaces and mounts, and how each is
// put back.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attempt, run } from './command.ts';
import { readLedger, record, recordSysctl } from './ledger.ts';
import type { Part } from './part.ts';
import { addresses, hasOtherCluster, paths } from './paths.ts';

const namespaces = '/run/netns';
const hostLocalData = join(paths.state, 'cni-addresses');

const links = () => readdirSync('/sys/class/net');
const list = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);

/** Remembers devices and namespaces of the machine before the lab adds its own. */
export function rememberNetwork(): void {
  record(({ linksBefore, namespacesBefore }) => ({
    linksBefore: linksBefore ?? links(),
    namespacesBefore: namespacesBefore ?? list(namespaces),
  }));
}

/**
 * New devices get no IPv6 address of their own from here on, until `down`. A pod's device that gets one makes Chromium drop
 * whatever it is loading (ERR_NETWORK_CHANGED): a page of the editor then stays empty. Nothing of the lab speaks IPv6.
 */
export function quietDevices(): void {
  const name = 'net/ipv6/conf/default/disable_ipv6';
  const file = `/proc/sys/${name}`;
  // A machine without our bridge is left as it is: nobody would put it back.
  if (readLedger().linksBefore === undefined || !existsSync(file) || readFileSync(file, 'utf8').trim() === '1') return;
  recordSysctl(name);
  writeFileSync(file, '1');
}

const firewalls = ['iptables', 'ip6tables'] as const;
/** Chains and devices by which each owner's rules are known. */
const rulesOf = {
  docker: /DOCKER|docker0|\bbr-[0-9a-f]{12}\b/,
  cluster: /KUBE-|CNI-|cni0/,
} as const;

/** Takes away every firewall rule and chain of an owner, and leaves all others as they are. */
export async function removeFirewallRules(owner: keyof typeof rulesOf): Promise<void> {
  if (!existsSync('/usr/sbin/iptables-save')) return;
  for (const program of firewalls) {
    const { code, stdout } = await attempt(`${program}-save`, []);
    if (code !== 0 || !rulesOf[owner].test(stdout)) continue;
    const kept = stdout.split('\n').filter((line) => !rulesOf[owner].test(line));
    await run(`${program}-restore`, [], { stdin: kept.join('\n') });
  }
}

/** dockerd sets FORWARD to DROP and never back. */
export async function rememberForwardPolicy(): Promise<void> {
  for (const program of firewalls) {
    const { code, stdout } = await attempt(program, ['-S', 'FORWARD']);
    const policy = /^-P FORWARD (\w+)/m.exec(stdout)?.[1];
    if (code !== 0 || policy === undefined) continue;
    record(({ forwardPolicy }) =>
      program in forwardPolicy ? {} : { forwardPolicy: { ...forwardPolicy, [program]: policy } },
    );
  }
}

/** Mount points below a folder, deepest first. */
function mountsBelow(folder: string): readonly string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '))
    .filter((mount) => mount === folder || mount.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);
}

/** Unmounts everything below a folder; a busy mount is detached, and goes when its last user goes. */
export async function unmountBelow(folder: string): Promise<void> {
  for (const mount of mountsBelow(folder)) {
    if ((await attempt('umount', [mount])).code !== 0) await attempt('umount', ['--lazy', mount]);
  }
}

/** Control groups that dockerd and the kubelet's containers leave behind, empty. */
function removeControlGroups(): void {
  const root = '/sys/fs/cgroup';
  for (const controller of ['', ...list(root)]) {
    for (const name of ['docker', 'k8s.io']) {
      const group = join(root, controller, name);
      for (const folder of [...list(group).map((child) => join(group, child)), group]) {
        try {
          if (statSync(folder).isDirectory()) rmdirSync(folder);
        } catch {
          // Not there, or in use by somebody else.
        }
      }
    }
  }
}

/** The last act of `down`: devices, namespaces, policies and kernel settings as they were before `up`. */
export async function restoreNetwork(): Promise<void> {
  const ledger = readLedger();
  if (ledger.namespacesBefore !== undefined) {
    const before = new Set(ledger.namespacesBefore);
    for (const name of list(namespaces).filter((entry) => entry.startsWith('cni-') && !before.has(entry))) {
      await unmountBelow(join(namespaces, name));
      rmSync(join(namespaces, name), { force: true });
    }
  }
  if (ledger.linksBefore !== undefined) {
    const before = new Set(ledger.linksBefore);
    const isOurs = (name: string) => /^(cni0|docker0|br-[0-9a-f]{12}|veth[0-9a-f]+)$/.test(name) && !before.has(name);
    for (const name of links().filter(isOurs)) await attempt('ip', ['link', 'delete', name]);
  }
  for (const [program, policy] of Object.entries(ledger.forwardPolicy))
    await attempt(program, ['-P', 'FORWARD', policy]);
  for (const [name, value] of Object.entries(ledger.sysctls)) writeFileSync(`/proc/sys/${name}`, value);
  removeControlGroups();
  record(() => ({ forwardPolicy: {}, sysctls: {}, linksBefore: undefined, namespacesBefore: undefined }));
}

const conflist = {
  cniVersion: '0.4.0',
  name: 'slipway',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        dataDir: hostLocalData,
        ranges: [[{ subnet: addresses.podRange, gateway: addresses.node }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};

export const networkPart: Part = {
  name: 'network',
  ...(hasOtherCluster && { external: "the named cluster's own" }),
  what: `bridge of the pods, ${addresses.node}`,
  version: 'CNI 1.1',
  group: 'core',
  // After dockerd, which sets up the FORWARD chain for itself.
  needs: ['packages'],
  isPrepared: () => true,
  prepare: async () => {},
  service: {
    isReady: async () => existsSync('/sys/class/net/cni0') && existsSync(join(paths.state, 'cni/10-slipway.conflist')),
    pid: () => undefined,
    start: async () => {
      rememberNetwork();
      recordSysctl('net/ipv4/ip_forward');
      recordSysctl('net/ipv4/conf/all/route_localnet');
      mkdirSync(join(paths.state, 'cni'), { recursive: true });
      // Addresses handed out before the last `down` belong to pods that are gone.
      if (!existsSync('/sys/class/net/cni0')) {
        rmSync(hostLocalData, { recursive: true, force: true });
        await run('ip', ['link', 'add', 'cni0', 'type', 'bridge']);
        await run('ip', ['address', 'add', `${addresses.node}/24`, 'dev', 'cni0']);
      }
      await run('ip', ['link', 'set', 'cni0', 'up']);
      writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
      for (const direction of ['-i', '-o']) {
        const rule = ['FORWARD', direction, 'cni0', '-j', 'ACCEPT'];
        const { code } = await attempt('iptables', ['--wait', '-C', ...rule]);
        if (code !== 0) await run('iptables', ['--wait', '-I', ...rule]);
      }
      writeFileSync(join(paths.state, 'cni/10-slipway.conflist'), JSON.stringify(conflist, null, 2));
    },
    stop: async () => {
      await removeFirewallRules('cluster');
      rmSync(join(paths.state, 'cni/10-slipway.conflist'), { force: true });
    },
  },
};
