// Each row of the catalog: what is seen, when it is proof, and under which name. Messages are the kubelet's, containerd's
// and the controllers' own (Kubernetes 1.35).
import { describe, expect, test } from 'vitest';
import type { Answer, Question } from '../../src/engine/rollout/index.ts';
import {
  crash,
  deployed,
  deployment,
  ended,
  event,
  node,
  pod,
  replicaSet,
  type Story,
  waiting,
  webPod,
} from './rolloutStory.ts';

const NOT_FOUND =
  'rpc error: code = NotFound desc = failed to pull and unpack image "reg.io/web:2": failed to resolve reference "reg.io/web:2": reg.io/web:2: not found';
const UNAUTHORIZED =
  'failed to pull and unpack image "reg.io/web:2": failed to resolve reference "reg.io/web:2": failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized';

const answers =
  (...known: readonly Partial<Answer>[]) =>
  (question: Question, now: number): Answer | undefined => {
    const found = known.find(({ kind }) => kind === question.kind);
    return found === undefined ? undefined : ({ similar: [], detail: '', ...found, at: now } as unknown as Answer);
  };

/** The pull fails, backs off, and is tried again after 10, 20 … seconds. */
function pullFails(story: Story, message: string, attempts: number, name = 'web-new-1'): void {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    story.put(pod(name, { owner: 'web-new', state: waiting('ErrImagePull', message) }));
    if (story.look().state === 'failed') return;
    story.put(
      pod(name, {
        owner: 'web-new',
        state: waiting('ImagePullBackOff', `Back-off pulling image "reg.io/web:2": ErrImagePull: ${message}`),
      }),
    );
    if (story.wait(10 * 2 ** (attempt - 1)).state === 'failed') return;
  }
}

interface Row {
  readonly code: string;
  readonly what: string;
  readonly play: (story: Story) => void;
  readonly reply?: readonly Partial<Answer>[];
  /** Seconds until the verdict: at least, at most. */
  readonly after: readonly [number, number];
  readonly says?: string;
}

const config = (message: string) => (story: Story) => {
  story.put(webPod({ state: waiting('CreateContainerConfigError', message) }));
  story.wait(300);
};
const loops = (story: Story, code = 1, reason?: string): void => {
  for (const [run, pause] of [
    [0, 1],
    [1, 11],
    [2, 21],
    [3, 41],
    [4, 81],
  ] as const) {
    crash(story, run, code, reason === undefined ? {} : { reason });
    if (story.last?.state === 'failed' || story.wait(pause).state === 'failed') return;
  }
};
const refused = (text: string) => (story: Story) => {
  const condition = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: text };
  story.put(replicaSet('web-new', { status: { conditions: [condition] } }));
  story.put(event('web-new', 'FailedCreate', `Error creating: ${text}`, { kind: 'ReplicaSet', count: 4 }));
  story.wait(400);
};
const unscheduled = (story: Story, spec: object = {}, container: object = {}): void => {
  story.put(
    webPod({
      node: null,
      spec,
      container,
      conditions: [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'Unschedulable',
          message: '0/1 nodes are available: 1 Insufficient cpu.',
        },
      ],
    }),
  );
  story.wait(900);
};

const rows: readonly Row[] = [
  {
    code: 'image.invalid',
    what: 'the name cannot be parsed',
    play: (story) => {
      story.put(
        webPod({
          image: 'reg.io/Web:2',
          state: waiting('InvalidImageName', 'couldn\'t parse image name "reg.io/Web:2"'),
        }),
      );
      story.look();
    },
    after: [0, 0],
    says: 'upper-case',
  },
  {
    code: 'image.missing',
    what: 'the registry says 404 as well',
    play: (story) => pullFails(story, NOT_FOUND, 1),
    reply: [{ kind: 'registry-has', state: 'absent', nearest: ['2.0', '1'] }],
    after: [0, 1],
    says: '2.0',
  },
  {
    code: 'image.missing',
    what: 'the registry cannot be asked: the node has to say it twice',
    play: (story) => pullFails(story, NOT_FOUND, 3),
    reply: [{ kind: 'registry-has', state: 'unknown' }],
    after: [10, 31],
  },
  {
    code: 'image.platform',
    what: 'no build for the node',
    play: (story) =>
      pullFails(
        story,
        'failed to pull and unpack image "reg.io/web:2": no match for platform in manifest: not found',
        1,
      ),
    after: [0, 0],
  },
  {
    code: 'image.auth',
    what: 'the pull secret does not exist',
    play: (story) => pullFails(story, UNAUTHORIZED, 1),
    reply: [{ kind: 'pull-secret-works', state: 'missing', detail: 'the pull secret regcred does not exist' }],
    after: [0, 1],
    says: 'regcred',
  },
  {
    code: 'image.auth',
    what: 'the pull secret is refused from here too',
    play: (story) => pullFails(story, UNAUTHORIZED, 3),
    reply: [{ kind: 'pull-secret-works', state: 'refused', detail: 'refused' }],
    after: [8, 11],
  },
  {
    code: 'image.auth',
    what: 'no secret, and the node is refused again',
    play: (story) => pullFails(story, UNAUTHORIZED, 3),
    reply: [{ kind: 'pull-secret-works', state: 'none' }],
    after: [10, 31],
  },
  {
    code: 'image.auth',
    what: 'nothing can be checked: three attempts and 45 s',
    play: (story) => pullFails(story, UNAUTHORIZED, 5),
    reply: [{ kind: 'pull-secret-works', state: 'unknown' }],
    after: [45, 80],
  },
  {
    code: 'image.network',
    what: 'a certificate nobody trusts, for a minute',
    play: (story) =>
      pullFails(
        story,
        'failed to do request: Head "https://reg.io/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority',
        5,
      ),
    after: [60, 80],
    says: 'CA',
  },
  {
    code: 'image.neverpull',
    what: 'never pulled and not there',
    play: (story) => {
      story.put(
        webPod({
          state: waiting(
            'ErrImageNeverPull',
            'Container image "reg.io/web:2" is not present with pull policy of Never',
          ),
        }),
      );
      story.look();
    },
    after: [0, 0],
  },
  {
    code: 'image.policy',
    what: 'a signature policy, for 30 s',
    play: (story) => {
      story.put(
        webPod({
          state: waiting('SignatureValidationFailed', 'image pull failed because the signature validation failed'),
        }),
      );
      story.wait(60);
    },
    after: [30, 30],
  },
  {
    code: 'config.missing',
    what: 'a Secret that does not exist',
    play: config('secret "database" not found'),
    reply: [{ kind: 'object-exists', state: 'absent', similar: ['databases'] }],
    after: [15, 20],
    says: 'databases',
  },
  {
    code: 'config.missing',
    what: 'a key that does not exist',
    play: config("couldn't find key mod in ConfigMap shop/settings"),
    reply: [{ kind: 'object-exists', state: 'no-key', similar: ['mode'] }],
    after: [15, 20],
    says: 'mode',
  },
  {
    code: 'config.missing',
    what: 'something is going to make it: three minutes',
    play: config('secret "web-tls" not found'),
    reply: [{ kind: 'object-exists', state: 'absent', maker: 'Certificate web-tls' }],
    after: [180, 186],
  },
  {
    code: 'config.missing',
    what: 'nobody may look: twice the time',
    play: config('secret "database" not found'),
    reply: [{ kind: 'object-exists', state: 'unknown' }],
    after: [30, 36],
  },
  {
    code: 'config.security',
    what: 'runAsNonRoot and an image that runs as root',
    play: config('container has runAsNonRoot and image will run as root (pod: "web", container: app)'),
    after: [0, 0],
  },
  {
    code: 'mount.missing',
    what: 'a volume from a Secret that does not exist',
    play: (story) => {
      story.put(
        webPod({}),
        event('web-new-1', 'FailedMount', 'MountVolume.SetUp failed for volume "tls" : secret "web-tls" not found'),
      );
      story.wait(120);
    },
    reply: [{ kind: 'object-exists', state: 'absent' }],
    after: [30, 36],
  },
  {
    code: 'mount.wait',
    what: 'a volume that another node holds, for 6 min',
    play: (story) => {
      story.put(
        webPod({}),
        event(
          'web-new-1',
          'FailedAttachVolume',
          'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) web-old-1',
        ),
      );
      story.wait(500);
    },
    after: [360, 360],
  },
  {
    code: 'container.start',
    what: 'the command is not in the image',
    play: (story) => {
      const message =
        'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "python": executable file not found in $PATH: unknown';
      story.put(webPod({ state: ended(story, 128, 0, { reason: 'StartError', message }) }));
      story.wait(5);
    },
    after: [0, 2],
    says: 'python',
  },
  {
    code: 'crash',
    what: 'three alike exits',
    play: (story) => loops(story),
    reply: [{ kind: 'logs', text: 'boot\nfatal: bad settings' }],
    after: [12, 14],
    says: 'bad settings',
  },
  {
    code: 'crash',
    what: 'no log can be read: five exits',
    play: (story) => loops(story),
    reply: [{ kind: 'logs' }],
    after: [70, 76],
  },
  {
    code: 'crash.exited',
    what: 'ends well and should not',
    play: (story) => loops(story, 0),
    reply: [{ kind: 'logs', text: 'done' }],
    after: [12, 14],
  },
  {
    code: 'crash.oom',
    what: 'twice out of memory',
    play: (story) => loops(story, 137, 'OOMKilled'),
    reply: [{ kind: 'logs', text: '' }],
    after: [1, 2],
  },
  {
    code: 'crash.app',
    what: 'a module is missing, twice, 2 s apart',
    play: (story) => loops(story),
    reply: [{ kind: 'logs', text: "ModuleNotFoundError: No module named 'redis'" }],
    after: [2, 14],
    says: 'redis',
  },
  {
    code: 'crash',
    what: 'speaks of a dependency: five exits and 90 s',
    play: (story) => loops(story),
    reply: [{ kind: 'logs', text: 'dial tcp 10.0.0.9:5432: connect: connection refused' }],
    after: [90, 160],
  },
  {
    code: 'crash.init',
    what: 'an init container ends badly',
    play: (story) => {
      for (const [run, pause] of [
        [0, 1],
        [1, 11],
        [2, 21],
      ] as const) {
        crash(story, run, 1, { isInit: true });
        if (story.last?.state === 'failed') return;
        story.wait(pause);
      }
    },
    reply: [{ kind: 'logs', text: 'relation exists' }],
    after: [12, 14],
  },
  {
    code: 'probe.kill',
    what: 'three kills by liveness and never ready',
    play: (story) => {
      for (const run of [0, 1, 2]) {
        story.put(
          event('web-new-1', 'Killing', 'Container app failed liveness probe, will be restarted', {
            type: 'Normal',
            name: 'killing',
            count: run + 1,
          }),
        );
        story.put(event('web-new-1', 'Unhealthy', 'Liveness probe failed: HTTP probe failed with statuscode: 500'));
        crash(story, run, 137);
        story.wait(10);
      }
    },
    reply: [{ kind: 'logs', text: 'listening' }],
    after: [20, 31],
    says: '500',
  },
  {
    code: 'admission.policy',
    what: 'PodSecurity',
    play: refused(
      'pods "web-new-x" is forbidden: violates PodSecurity "restricted:latest": privileged (container "app" must not set securityContext.privileged=true)',
    ),
    after: [5, 6],
    says: 'privileged',
  },
  {
    code: 'admission.denied',
    what: 'a webhook says no, for 15 s',
    play: refused('admission webhook "policy.example.com" denied the request: image is not signed'),
    after: [15, 15],
    says: 'not signed',
  },
  {
    code: 'admission.down',
    what: 'a webhook is not there, for 2 min',
    play: refused(
      'Internal error occurred: failed calling webhook "inject.example.com": failed to call webhook: no endpoints available for service "injector"',
    ),
    after: [120, 120],
  },
  {
    code: 'quota',
    what: 'a quota, and nothing moves for 2 min',
    play: refused(
      'pods "web-new-x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=4, limited: pods=4',
    ),
    after: [120, 121],
    says: 'compute',
  },
  {
    code: 'ref.missing',
    what: 'no such service account, for a minute',
    play: refused(
      'pods "web-new-" is forbidden: error looking up service account shop/deployer: serviceaccount "deployer" not found',
    ),
    reply: [{ kind: 'object-exists', state: 'absent' }],
    after: [60, 61],
  },
  {
    code: 'deleted',
    what: 'the namespace is going',
    play: refused(
      'pods "web-new-x" is forbidden: unable to create new content in namespace shop because it is being terminated',
    ),
    after: [0, 0],
  },
  {
    code: 'sched.impossible',
    what: 'larger than every node, no autoscaler',
    play: (story) => {
      story.put(node('node-1'));
      unscheduled(story, {}, { resources: { requests: { cpu: '16' } } });
    },
    reply: [{ kind: 'autoscaler', state: 'absent' }],
    after: [30, 30],
    says: '16 cpu',
  },
  {
    code: 'sched.impossible',
    what: 'a taint nobody tolerates',
    play: (story) => {
      story.put(node('node-1', { spec: { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] } }));
      unscheduled(story);
    },
    reply: [{ kind: 'autoscaler', state: 'absent' }],
    after: [30, 30],
    says: 'gpu=yes',
  },
  {
    code: 'pvc.class',
    what: 'a storage class that does not exist',
    play: (story) => {
      story.put({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'data', namespace: 'shop', uid: 'uid-data' },
        spec: { storageClassName: 'fast' },
        status: { phase: 'Pending' },
      });
      story.put(
        event('data', 'ProvisioningFailed', 'storageclass.storage.k8s.io "fast" not found', {
          kind: 'PersistentVolumeClaim',
        }),
      );
      unscheduled(story, { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] });
    },
    after: [60, 60],
    says: 'fast',
  },
  {
    code: 'deadline',
    what: 'the controller gives up, anew',
    play: (story) => {
      story.put(webPod({}));
      story.put(
        deployment({
          status: {
            conditions: [
              {
                type: 'Progressing',
                status: 'False',
                reason: 'ProgressDeadlineExceeded',
                message: 'timed out',
                lastUpdateTime: '2026-11-21T10:10:00Z',
              },
            ],
          },
        }),
      );
      story.look();
    },
    after: [0, 0],
  },
  {
    code: 'deleted',
    what: 'the workload goes away',
    play: (story) => {
      story.look();
      story.remove('Deployment/web').look();
    },
    after: [0, 0],
  },
];

describe('failures are named, and not before they are proof', () => {
  test.each(rows.map((row) => [`${row.code}: ${row.what}`, row] as const))('%s', (_name, row) => {
    const story = deployed();
    story.reply = answers(...(row.reply ?? []));
    story.look();
    row.play(story);
    const { last } = story;
    expect({ state: last?.state, code: last?.causes[0]?.code }).toEqual({ state: 'failed', code: row.code });
    expect(story.seconds).toBeGreaterThanOrEqual(row.after[0]);
    expect(story.seconds).toBeLessThanOrEqual(row.after[1]);
    if (row.says !== undefined) expect(JSON.stringify(last?.causes)).toContain(row.says);
    expect(last?.causes[0]?.fix).not.toBe('');
  });
});

describe('what is never proof', () => {
  const pulls = (message: string) => (story: Story) => pullFails(story, message, 5);
  const never: readonly (readonly [string, string, (story: Story) => void, readonly Partial<Answer>[]])[] = [
    [
      'image.ratelimit',
      'a registry that limits pulls',
      pulls(
        'failed to copy: httpReadSeeker: failed open: unexpected status code 429 Too Many Requests - toomanyrequests: You have reached your pull rate limit',
      ),
      [],
    ],
    [
      'image.network',
      'a registry that is down',
      pulls('failed to do request: Head "https://reg.io/v2/web/manifests/2": dial tcp 10.0.0.1:443: i/o timeout'),
      [],
    ],
    [
      'node.disk',
      'a full disk',
      pulls('failed to extract layer: write /var/lib/containerd/x: no space left on device'),
      [],
    ],
    [
      'image.missing',
      'a mirror that is behind: the registry has it',
      pulls(NOT_FOUND),
      [{ kind: 'registry-has', state: 'present' }],
    ],
    [
      'image.auth',
      'a login that works from here',
      pulls(UNAUTHORIZED),
      [{ kind: 'pull-secret-works', state: 'works' }],
    ],
    [
      'config.missing',
      'a Secret that exists by now',
      config('secret "database" not found'),
      [{ kind: 'object-exists', state: 'present' }],
    ],
    [
      'node.cache',
      'a node that has not synchronised',
      config('failed to sync secret cache: timed out waiting for the condition'),
      [],
    ],
    [
      'sched',
      'no room right now',
      (story) => {
        story.put(node('node-1'));
        story.put(
          webPod({
            node: null,
            conditions: [
              {
                type: 'PodScheduled',
                status: 'False',
                reason: 'Unschedulable',
                message: '0/1 nodes are available: 1 Insufficient cpu.',
              },
            ],
          }),
        );
        story.wait(300);
      },
      [{ kind: 'autoscaler', state: 'absent' }],
    ],
    [
      'sched.gate',
      'a scheduling gate',
      (story) => {
        story.put(
          webPod({
            node: null,
            spec: { schedulingGates: [{ name: 'example.com/quota' }] },
            conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated', message: 'gated' }],
          }),
        );
        story.wait(300);
      },
      [],
    ],
    [
      'probe.ready',
      'a readiness probe that fails',
      (story) => {
        story.put(
          webPod({
            phase: 'Running',
            state: { running: {} },
            container: { readinessProbe: { httpGet: { path: '/ready', port: 9090 }, periodSeconds: 1 } },
          }),
        );
        story.wait(300);
      },
      [],
    ],
    [
      'gate',
      'a readiness gate',
      (story) => {
        story.put(
          webPod({
            phase: 'Running',
            state: { running: {} },
            spec: { readinessGates: [{ conditionType: 'lb' }] },
            conditions: [
              { type: 'ContainersReady', status: 'True' },
              { type: 'Ready', status: 'False' },
            ],
          }),
        );
        story.wait(300);
      },
      [],
    ],
    [
      'init.slow',
      'a long migration',
      (story) => {
        story.put(webPod({ init: { status: { state: { running: {} } } } }));
        story.wait(300);
      },
      [],
    ],
    [
      'node.lost',
      'a node that went away',
      (story) => {
        story.put(node('node-1', { isReady: false }), webPod({}));
        story.wait(300);
      },
      [],
    ],
    [
      'node.network',
      'a pod sandbox that cannot be made',
      (story) => {
        story.put(
          webPod({}),
          event('web-new-1', 'FailedCreatePodSandBox', 'failed to setup network: no IP addresses available'),
        );
        story.wait(300);
      },
      [],
    ],
    [
      'pvc.provision',
      'a provisioner in trouble',
      (story) => {
        story.put({
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name: 'data', namespace: 'shop', uid: 'uid-data' },
          spec: {},
          status: { phase: 'Pending' },
        });
        story.put(event('data', 'ProvisioningFailed', 'rpc error: quota of disks', { kind: 'PersistentVolumeClaim' }));
        story.put(
          webPod({
            node: null,
            spec: { volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }] },
            conditions: [
              {
                type: 'PodScheduled',
                status: 'False',
                reason: 'Unschedulable',
                message: 'pod has unbound immediate PersistentVolumeClaims',
              },
            ],
          }),
        );
        story.wait(300);
      },
      [],
    ],
  ];
  test.each(never)(
    '%s: %s is a warning, and stalls only when nothing moves for the whole limit',
    (code, _what, play, reply) => {
      const story = deployed();
      story.reply = answers(...reply);
      story.look();
      play(story);
      expect(story.last?.state).toBe('progressing');
      expect(story.warnings).toContain(code);
      expect(story.wait(1200).state).toBe('stalled');
      expect(story.seconds).toBeGreaterThanOrEqual(600);
    },
  );
});
