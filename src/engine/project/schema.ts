import * as v from 'valibot';

/**
 * The shape of slipway.yaml as a person writes it. The one source: the reader validates with it, and
 * schemas/slipway.schema.json is generated from it (`npm run schema`), descriptions included.
 */

const text = v.pipe(v.string(), v.nonEmpty('must not be empty'));
const name = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/, 'must be lower-case letters, digits, "-", "_" or "."'),
);
/** `300ms`, `30s`, `5m`, `1h`. */
export const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const duration = v.pipe(v.string(), v.regex(DURATION, 'must be a duration such as 30s or 5m'));
const argv = v.pipe(
  v.array(
    v.union([text, v.pipe(v.number(), v.transform(String))]),
    'must be a list of program and arguments, for example [npm, test]',
  ),
  v.minLength(1, 'needs a program'),
);
const scalar = v.union([v.string(), v.number(), v.boolean()]);
const environment = v.record(v.string(), scalar);
const platform = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9]+\/[a-z0-9_]+(\/v\d+)?$/, 'must be os/arch or os/arch/variant, for example linux/arm64'),
);
const severity = v.picklist(['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN']);
const stage = v.picklist(['test', 'build', 'scan', 'publish', 'deploy', 'smoke']);

const image = v.strictObject({
  context: v.optional(
    v.pipe(text, v.description('Folder of the build context, relative to this file, or a git URL. Default: "."')),
  ),
  dockerfile: v.optional(v.pipe(text, v.description('Path of the Dockerfile. Default: Dockerfile in the context.'))),
  target: v.optional(v.pipe(text, v.description('Stage to build. Default: the last one.'))),
  repository: v.pipe(text, v.description('Registry and name without a tag, for example ghcr.io/acme/shop-api.')),
  platforms: v.optional(
    v.pipe(v.array(platform), v.description('Platforms to build for. Default: the one of the builder.')),
  ),
  args: v.optional(
    v.pipe(environment, v.description('Build arguments. Not for secrets: they stay in the image history.')),
  ),
  secrets: v.optional(
    v.pipe(
      v.record(
        v.string(),
        v.union([
          v.strictObject({ env: v.pipe(text, v.description('Environment variable that holds the secret.')) }),
          v.strictObject({ file: v.pipe(text, v.description('File that holds the secret.')) }),
        ]),
      ),
      v.description('Build secrets by id: from an environment variable or a file.'),
    ),
  ),
  ssh: v.optional(v.pipe(v.array(text), v.description('SSH agents or keys to forward: "default" or "id=path".'))),
  cache: v.optional(
    v.pipe(
      v.strictObject({
        from: v.optional(v.pipe(v.array(text), v.description('Where cached layers come from.'))),
        to: v.optional(v.pipe(v.array(text), v.description('Where cached layers go.'))),
      }),
      v.description(
        'buildx cache sources and targets, for example type=registry,ref=ghcr.io/acme/shop-api:buildcache,mode=max.',
      ),
    ),
  ),
  contexts: v.optional(
    v.pipe(
      v.record(v.string(), text),
      v.description(
        'Named build contexts: a folder, a git URL, docker-image://… or oci-layout://…. One named as a stage or base image stands in its place.',
      ),
    ),
  ),
  bake: v.optional(
    v.pipe(
      v.union([
        text,
        v.strictObject({
          target: v.pipe(text, v.description('Target of the file, for a compose file the service.')),
          file: v.optional(
            v.pipe(
              text,
              v.description('Bake file (HCL or JSON) or compose file. Default: as docker buildx bake finds it.'),
            ),
          ),
        }),
      ]),
      v.description(
        'Target of a bake or compose file that describes the build: context, Dockerfile, arguments, secrets, caches. Its tags and outputs are not used.',
      ),
    ),
  ),
  builder: v.optional(v.pipe(text, v.description('Name of a buildx builder. Default: the current one.'))),
  labels: v.optional(
    v.pipe(environment, v.description('Extra image labels. Revision, source and version are set without asking.')),
  ),
  provenance: v.optional(
    v.pipe(v.picklist(['none', 'min', 'max']), v.description('Provenance attestation. Default: none.')),
  ),
  sbom: v.optional(
    v.pipe(
      v.union([v.boolean(), v.picklist(['cyclonedx', 'spdx', 'buildkit'])]),
      v.description(
        'Attach an SBOM made by Trivy for each platform: cyclonedx (true) or spdx; with "sign" as a signed attestation. buildkit: the one of BuildKit. Default: false.',
      ),
    ),
  ),
  sign: v.optional(
    v.pipe(
      v.strictObject({
        key: v.pipe(text, v.description('cosign key: a file, a KMS URI or k8s://namespace/secret.')),
        publicKey: v.optional(v.pipe(text, v.description('Key to verify with, when it cannot be had from the key.'))),
      }),
      v.description('Sign the digest with cosign.'),
    ),
  ),
});

const service = v.strictObject({
  image: v.pipe(text, v.description('Image of the service, with its tag.')),
  env: v.optional(v.pipe(environment, v.description('Environment variables.'))),
  command: v.optional(v.pipe(argv, v.description('Command instead of the one of the image.'))),
  health: v.optional(
    v.pipe(argv, v.description('Command inside the container that exits 0 when the service is ready.')),
  ),
  ports: v.optional(
    v.pipe(
      v.array(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535))),
      v.description('Ports it listens on; the tests reach them under the name of the service.'),
    ),
  ),
});

const test = v.strictObject({
  name: v.pipe(name, v.description('Name, each its own.')),
  run: v.pipe(
    argv,
    v.description('Program and arguments; no shell. {image.<name>} is the digest that this run built.'),
  ),
  cwd: v.optional(v.pipe(text, v.description('Folder to run in. Default: "."'))),
  env: v.optional(v.pipe(environment, v.description('Environment variables.'))),
  envFile: v.optional(v.pipe(text, v.description('File of KEY=value lines.'))),
  services: v.optional(
    v.pipe(v.record(name, service), v.description('Containers the tests need, started and removed by Slipway.')),
  ),
  container: v.optional(
    v.pipe(
      text,
      v.description('Image to run the tests in, or image:<name> for one built here. Default: this machine.'),
    ),
  ),
  junit: v.optional(v.pipe(v.array(text), v.description('JUnit XML reports to read afterwards (globs).'))),
  timeout: v.optional(v.pipe(duration, v.description('Longest time. Default: none.'))),
  matrix: v.optional(
    v.pipe(
      v.record(name, v.pipe(v.array(scalar), v.minLength(1, 'needs at least one value'))),
      v.description('Runs the test once for each combination; {matrix.<name>} stands for the value in every text.'),
    ),
  ),
  inputs: v.optional(
    v.pipe(v.array(text), v.description('Globs of what the result depends on. Default: every file of the repository.')),
  ),
});

const command = v.strictObject({
  name: v.pipe(name, v.description('Name, each its own.')),
  run: v.pipe(
    argv,
    v.description('Program and arguments; no shell. {image.<name>} is the digest that this run built.'),
  ),
  cwd: v.optional(v.pipe(text, v.description('Folder to run in. Default: "."'))),
  env: v.optional(v.pipe(environment, v.description('Environment variables.'))),
  envFile: v.optional(v.pipe(text, v.description('File of KEY=value lines.'))),
  before: v.optional(v.pipe(stage, v.description('Run before this stage.'))),
  after: v.optional(v.pipe(stage, v.description('Run after this stage.'))),
  reports: v.optional(
    v.pipe(
      v.array(text),
      v.description('Files to keep with the run (globs). SARIF becomes Problems, JUnit XML is counted.'),
    ),
  ),
  optional: v.optional(v.pipe(v.boolean(), v.description('A failure is a warning. Default: false.'))),
  timeout: v.optional(v.pipe(duration, v.description('Longest time. Default: none.'))),
});

const scan = v.strictObject({
  engine: v.optional(v.pipe(v.picklist(['trivy', 'grype']), v.description('Scanner. Default: trivy.'))),
  severity: v.optional(
    v.pipe(
      v.array(severity),
      v.minLength(1, 'needs at least one severity'),
      v.description('Severities that fail the gate. Default: HIGH, CRITICAL.'),
    ),
  ),
  ignoreUnfixed: v.optional(v.pipe(v.boolean(), v.description('Do not count findings without a fix. Default: false.'))),
  ignoreFile: v.optional(
    v.pipe(
      text,
      v.description(
        '.trivyignore, .trivyignore.yaml or .grype.yaml. Default: those beside this file, when there are any.',
      ),
    ),
  ),
  databaseMaxAge: v.optional(
    v.pipe(
      v.number(),
      v.minValue(0),
      v.description(
        'Days after which the database is too old for a verdict; 0 = never with Trivy, five days with Grype. Default: 0.',
      ),
    ),
  ),
  config: v.optional(
    v.pipe(
      v.picklist(['off', 'report', 'gate']),
      v.description(
        'Look for misconfiguration in Dockerfiles, charts and manifests: report it, or let it fail the gate. Default: off.',
      ),
    ),
  ),
  enabled: v.optional(v.pipe(v.boolean(), v.description('false leaves the gate out. Default: true.'))),
  timeout: v.optional(v.pipe(duration, v.description('Longest time of a scan. Default: 10m.'))),
});

const history = v.strictObject({
  keep: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.description('Runs to keep in .slipway. Default: 100.')),
  ),
  days: v.optional(
    v.pipe(v.number(), v.minValue(0), v.description('Days to keep a run; the newest always stays. Default: no limit.')),
  ),
});

const paths = v.union([text, v.array(text)]);
const helm = v.strictObject({
  chart: v.pipe(text, v.description('Folder of the chart, or an oci:// reference.')),
  release: v.optional(v.pipe(name, v.description('Release name. Default: the name of the project.'))),
  values: v.optional(v.pipe(paths, v.description('Values files; later ones win.'))),
  set: v.optional(v.pipe(environment, v.description('Single values, as helm --set-string.'))),
  images: v.optional(
    v.pipe(
      v.record(v.string(), text),
      v.description(
        'Image name → values key that carries it, for example api: api.image; or the keys that the chart puts it together from: api: "{global.registry}/{api.repository}:{api.tag}".',
      ),
    ),
  ),
  historyMax: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(0), v.description('Revisions Helm keeps. Default: 10.')),
  ),
});
const imagesToSet = v.optional(
  v.pipe(v.array(name), v.description('Images to set, found by repository. Default: all of this project that occur.')),
);
const manifests = v.strictObject({
  paths: v.pipe(paths, v.description('Manifest files or folders.')),
  images: imagesToSet,
  prune: v.optional(
    v.pipe(
      v.boolean(),
      v.description('Delete what earlier deploys applied and these files no longer have. Default: false.'),
    ),
  ),
});
const kustomize = v.strictObject({
  path: v.pipe(text, v.description('Folder with a kustomization file.')),
  images: imagesToSet,
  prune: v.optional(
    v.pipe(
      v.boolean(),
      v.description('Delete what earlier deploys applied and the files no longer have. Default: false.'),
    ),
  ),
});
const flux = v.strictObject({
  policies: v.pipe(v.array(text), v.minLength(1), v.description('ImagePolicies as [namespace/]name.')),
  automation: v.optional(
    v.pipe(
      text,
      v.description(
        'The ImageUpdateAutomation that counts, as [namespace/]name. Default: all that select the policies.',
      ),
    ),
  ),
  write: v.optional(
    v.pipe(
      v.picklist(['auto', 'git', 'automation']),
      v.description(
        'Who writes the tag to git: this run, or the ImageUpdateAutomation. Default: auto, the automation where an active one chooses this tag.',
      ),
    ),
  ),
  repository: v.optional(
    v.pipe(text, v.description('Folder of a checkout of the git repository that Flux reads. Default: this one.')),
  ),
  remote: v.optional(v.pipe(text, v.description('Its git remote. Default: origin.'))),
  branch: v.optional(v.pipe(text, v.description('Branch that is written. Default: the one of the GitRepository.'))),
  rollback: v.optional(
    v.pipe(
      v.picklist(['exclude', 'pin', 'suspend', 'revert', 'none']),
      v.description(
        'How a failed deploy is taken back by itself. Default: revert where no automation writes, else the first of exclude, pin, suspend that stays.',
      ),
    ),
  ),
});
const argocd = v.strictObject({
  application: v.pipe(text, v.description('Application as [namespace/]name.')),
  write: v.optional(
    v.pipe(
      v.picklist(['auto', 'git', 'updater']),
      v.description(
        'Who writes the tag: this run into git, or Image Updater. Default: auto, the run, unless Image Updater writes into the live Application.',
      ),
    ),
  ),
  repository: v.optional(
    v.pipe(text, v.description('Folder of a checkout of the git repository that Argo CD reads. Default: this one.')),
  ),
  remote: v.optional(v.pipe(text, v.description('Its git remote. Default: origin.'))),
  rollback: v.optional(
    v.pipe(
      v.picklist(['ignore', 'pin', 'revert']),
      v.description(
        'What keeps Image Updater from writing a bad version again after a rollback: it leaves the tag out, it takes only the good one, or nothing. Default: ignore.',
      ),
    ),
  ),
});

const expectations = {
  name: v.optional(v.pipe(text, v.description('Name of the check in reports.'))),
  timeout: v.optional(v.pipe(duration, v.description('Time for all attempts together. Default: 30s.'))),
};
const http = {
  ...expectations,
  status: v.optional(
    v.pipe(
      v.union([v.pipe(v.number(), v.integer()), v.array(v.pipe(v.number(), v.integer()))]),
      v.description('Expected status, or a list of them. Default: 200.'),
    ),
  ),
  contains: v.optional(v.pipe(text, v.description('Text that the body must contain.'))),
  matches: v.optional(v.pipe(text, v.description('RE2 regular expression on the body.'))),
  json: v.optional(
    v.pipe(
      v.record(v.string(), v.union([scalar, v.null()])),
      v.description('Path in the JSON body → value, for example items[0].name: tea.'),
    ),
  ),
  headers: v.optional(v.pipe(environment, v.description('Request headers.'))),
  expectHeaders: v.optional(
    v.pipe(environment, v.description('Response headers that must be there, with these values.')),
  ),
  latency: v.optional(v.pipe(duration, v.description('The answer must come within this time.'))),
  tls: v.optional(v.pipe(v.boolean(), v.description('Ask by https. Default: by the URL, else false.'))),
  body: v.optional(v.pipe(v.string(), v.description('Body of the request.'))),
};
const target = v.pipe(
  text,
  v.description('service/<name>:<port>/<path>, nodeport/<service>:<port>/<path>, ingress/<host>/<path> or a URL.'),
);
/** One shape of smoke check for each leading key, so that a mistake is explained for the shape that was meant. */
export const smokeSchemas = {
  get: v.strictObject({ get: target, ...http }),
  post: v.strictObject({ post: target, ...http }),
  tcp: v.strictObject({ tcp: target, ...expectations }),
  exec: v.strictObject({
    exec: v.strictObject({ workload: text, container: v.optional(text), command: argv }),
    contains: v.optional(text),
    ...expectations,
  }),
  run: v.strictObject({ run: argv, cwd: v.optional(text), env: v.optional(environment), ...expectations }),
};
const smoke = v.union([smokeSchemas.get, smokeSchemas.post, smokeSchemas.tcp, smokeSchemas.exec, smokeSchemas.run]);

const environmentConfig = v.strictObject({
  context: v.optional(v.pipe(text, v.description('kubeconfig context. Default: the current one.'))),
  kubeconfig: v.optional(v.pipe(text, v.description('kubeconfig file. Default: as kubectl finds it.'))),
  namespace: v.optional(v.pipe(name, v.description('Namespace. Default: the one of the context, else "default".'))),
  protected: v.optional(v.pipe(v.boolean(), v.description('Ask by name before every change. Default: false.'))),
  tags: v.optional(
    v.pipe(v.array(text), v.description('Tag templates of this environment instead of the general ones.')),
  ),
  deploy: v.pipe(
    v.strictObject({
      helm: v.optional(v.pipe(helm, v.description('Install and upgrade a Helm chart.'))),
      manifests: v.optional(v.pipe(manifests, v.description('Apply plain manifests.'))),
      kustomize: v.optional(v.pipe(kustomize, v.description('Build and apply a kustomization.'))),
      flux: v.optional(v.pipe(flux, v.description('Flux deploys what its image policies choose.'))),
      argocd: v.optional(v.pipe(argocd, v.description('An Argo CD Application deploys.'))),
    }),
    v.description('Exactly one of helm, manifests, kustomize, flux, argocd.'),
  ),
  rollout: v.optional(
    v.pipe(
      v.strictObject({
        timeout: v.optional(
          v.pipe(duration, v.description('Upper limit. Default: none, only lack of progress counts.')),
        ),
        rollback: v.optional(
          v.pipe(v.boolean(), v.description('Go back by itself when rollout or smoke test fails. Default: true.')),
        ),
        stability: v.optional(v.pipe(duration, v.description('How long the new version must stay healthy.'))),
        noProgress: v.optional(
          v.pipe(
            duration,
            v.description(
              'Give up after so long without progress; a shorter progressDeadlineSeconds of the workload counts. Default: that of the workload, else 10m.',
            ),
          ),
        ),
        crashExits: v.optional(
          v.pipe(
            v.union([v.pipe(v.number(), v.integer(), v.minValue(1, 'must be at least 1')), v.literal('never')]),
            v.description(
              'Exits of a container that prove a crash loop; never = only the lack of progress counts. Default: 3 alike or 5 different, and as many more as the version before needed to become ready.',
            ),
          ),
        ),
      }),
      v.description('How the rollout is judged and what follows a failure.'),
    ),
  ),
  smoke: v.optional(v.pipe(v.array(smoke), v.description('Checks after the rollout.'))),
});

export const configSchema = v.strictObject({
  version: v.pipe(v.literal(1, 'must be 1'), v.description('Version of this format.')),
  name: v.optional(v.pipe(name, v.description('Name of the project. Default: the name of the folder.'))),
  images: v.optional(v.pipe(v.record(name, image), v.description('Images to build.'))),
  tags: v.optional(
    v.pipe(
      v.array(text),
      v.minLength(1, 'needs at least one template'),
      v.description(
        'Tag templates, the first is the one deployed: {branch} {sha} {sha:8} {semver} {tag} {commits} {date} {image} and plain text.',
      ),
    ),
  ),
  moving: v.optional(
    v.pipe(
      v.array(text),
      v.description('Tags (templates) that may move to another digest. Default: latest, dev, edge, nightly, {branch}.'),
    ),
  ),
  test: v.optional(v.pipe(v.array(test), v.description('Tests, run before anything is published.'))),
  commands: v.optional(
    v.pipe(v.array(command), v.description('Own steps before or after a stage: lint, Snyk, Sonar.')),
  ),
  scan: v.optional(v.pipe(scan, v.description('The gate: what a scan may find before an image is published.'))),
  environments: v.optional(v.pipe(v.record(name, environmentConfig), v.description('Where to deploy, by name.'))),
  history: v.optional(v.pipe(history, v.description('How long runs are kept.'))),
});

export type Config = v.InferOutput<typeof configSchema>;
export type SmokeInput = v.InferOutput<typeof smoke>;
export type EnvironmentInput = v.InferOutput<typeof environmentConfig>;
