import {
  type CiEnvironment,
  type CiPlan,
  clusterNote,
  localNote,
  REPORTS,
  shellQuote,
  variableName,
  writesGit,
} from './initCiPlan.ts';

/** Versions of the images and tools; releases of Trivy from 0.70 on are good (0.69.4 to 0.69.6 were malware). */
const VERSIONS = { docker: '28.5.1', trivy: '0.74.0', kind: 'v0.30.0' } as const;

/** A .gitlab-ci.yml that runs `slipway run` with Docker in Docker. */
export function gitlabPipeline(plan: CiPlan): string {
  const lines = [
    '# GitLab CI: the same pipeline as "slipway run" on your machine. Written by "slipway init --ci gitlab".',
    '# What is built, tested, gated and deployed is in slipway.yaml; this file only brings the tools and the secrets.',
    '#',
    '# The runner needs Docker in Docker (privileged). Pin the images by digest once you have chosen them:',
    '# docker buildx imagetools inspect docker:28.5.1-cli',
    ...(plan.package === undefined
      ? [
          '# Variable SLIPWAY_PACKAGE (Settings > CI/CD > Variables): what "npm install" takes Slipway from, for example the',
          '# URL of its tarball.',
        ]
      : []),
    ...foreign(plan).map(
      (registry) =>
        `# Variables ${variableName(registry)}_USERNAME and ${variableName(registry)}_PASSWORD (masked): login to ${registry}.`,
    ),
    ...plan.environments
      .filter((environment) => environment.kindCluster === undefined)
      .map((environment) => `# Variable KUBECONFIG of type file, in the scope of the environment ${environment.name}.`),
    ...(plan.environments.some(writesGit)
      ? [
          '# Variable GIT_PUSH_TOKEN (masked, protected): a project access token with write_repository. The deploy is a commit, and',
          '# the token of a job may not push. Its message says [skip ci], so that it starts no pipeline.',
        ]
      : []),
    ...(plan.services.length > 0
      ? [
          `# The services of the tests (${plan.services.join(', ')}) are started and removed by Slipway, as on your machine.`,
        ]
      : []),
    ...localNote(plan),
    'stages: [verify, deploy]',
    '',
    'workflow:',
    '  rules:',
    "    - if: $CI_PIPELINE_SOURCE == 'merge_request_event'",
    `    - if: $CI_COMMIT_BRANCH == '${plan.branch.replaceAll("'", '')}'`,
    ...(plan.hasVersionTags ? ['    - if: $CI_COMMIT_TAG'] : []),
    '',
    'variables:',
    '  GIT_DEPTH: 0 # tags and the number of commits are part of image tags',
    "  DOCKER_HOST: 'tcp://docker:2376'",
    "  DOCKER_TLS_CERTDIR: '/certs'",
    "  DOCKER_TLS_VERIFY: '1'",
    '  DOCKER_CERT_PATH: $DOCKER_TLS_CERTDIR/client',
    '',
    '.slipway:',
    `  image: docker:${VERSIONS.docker}-cli`,
    '  services:',
    `    - name: docker:${VERSIONS.docker}-dind`,
    '      alias: docker',
    '  before_script:',
    `    - apk add --no-cache git nodejs npm${plan.needsHelm ? ' helm' : ''}`,
    ...(plan.package === undefined
      ? [
          '    - test -n "$SLIPWAY_PACKAGE" || { echo "Set the variable SLIPWAY_PACKAGE"; exit 2; }',
          '    - npm install --global --no-audit --no-fund "$SLIPWAY_PACKAGE"',
        ]
      : [`    - npm install --global --no-audit --no-fund ${shellQuote(plan.package)}`]),
    ...plan.registries.flatMap((registry) => [`    - ${login(registry)}`]),
    '',
    'pipeline:',
    '  extends: .slipway',
    '  stage: verify',
    '  script:',
    ...(plan.engine === 'trivy'
      ? [
          `    # The scanner's program out of its own image.`,
          `    - id="$(docker create aquasec/trivy:${VERSIONS.trivy})"`,
          '    - docker cp "$id:/usr/local/bin/trivy" /usr/local/bin/trivy && docker rm "$id"',
        ]
      : plan.engine === 'grype'
        ? ['    # The gate uses Grype: install it here, pinned by version and checksum.']
        : []),
    ...(plan.needsEmulation ? ['    - docker run --privileged --rm tonistiigi/binfmt:qemu-v10.0.4 --install all'] : []),
    '    - docker context create slipway && docker buildx create --use slipway',
    ...(plan.hasBareTests
      ? ['    # What your tests need in this image, for example: apk add --no-cache python3 py3-pip']
      : []),
    '    # A merge request stops at the gate; everything else is published.',
    '    - |',
    '      if [ "$CI_PIPELINE_SOURCE" = merge_request_event ]; then',
    '        slipway run --until scan',
    '      else',
    '        slipway run',
    '      fi',
    ...keepReports([
      ...(plan.hasTests
        ? [`      junit: '${REPORTS}/test-*.xml' # failed tests are shown with the merge request`]
        : []),
      ...(plan.hasCycloneDx ? [`      cyclonedx: '${REPORTS}/sbom-*.cdx.json'`] : []),
    ]),
    ...plan.environments.flatMap(deployJob),
  ];
  return `${lines.join('\n')}\n`;
}

/** Kept also when the job failed, which is when they are read. */
const keepReports = (reports: readonly string[]): readonly string[] => [
  '  artifacts:',
  '    name: slipway-reports',
  '    when: always',
  `    paths: ['${REPORTS}/']`,
  '    expire_in: 30 days',
  ...(reports.length > 0 ? ['    reports:', ...reports] : []),
];

const isOwn = (registry: string): boolean => registry === 'registry.gitlab.com';

/** Registries other than the project's own. */
const foreign = (plan: CiPlan): readonly string[] => plan.registries.filter((registry) => !isOwn(registry));

function login(registry: string): string {
  const name = variableName(registry);
  const [user, password] = isOwn(registry)
    ? ['$CI_REGISTRY_USER', '$CI_REGISTRY_PASSWORD']
    : [`$${name}_USERNAME`, `$${name}_PASSWORD`];
  return `echo "${password}" | docker login --username "${user}" --password-stdin${registry === 'docker.io' ? '' : ` ${registry}`}`;
}

/** Unprotected environments follow the branch; protected ones wait for a person. */
function deployJob(environment: CiEnvironment): readonly string[] {
  const { name, isProtected, kindCluster } = environment;
  return [
    '',
    `deploy-${name}:`,
    `  # ${clusterNote(environment)}`,
    ...(isProtected ? ['  # Protected: waits for a person; protect the environment in GitLab as well.'] : []),
    '  extends: .slipway',
    '  stage: deploy',
    '  needs: [pipeline]',
    '  environment:',
    `    name: ${name}`,
    '  # One deploy at a time; a running one is never cancelled half way.',
    `  resource_group: ${name}`,
    '  interruptible: false',
    '  rules:',
    "    - if: $CI_PIPELINE_SOURCE == 'merge_request_event'",
    '      when: never',
    ...(isProtected ? ['    - when: manual'] : ['    - when: on_success']),
    '  script:',
    ...(kindCluster === undefined
      ? ['    - test -f "$KUBECONFIG" || { echo "Set KUBECONFIG, a variable of type file"; exit 2; }']
      : [
          '    # A cluster of its own, gone with the job. Its API server is on the Docker service, not on this container.',
          '    # Written outside of the checkout: an untracked file would make the tag a dirty one.',
          '    - apk add --no-cache go kubectl',
          `    - GOBIN=/usr/local/bin go install sigs.k8s.io/kind@${VERSIONS.kind}`,
          '    - |',
          "      cat > /tmp/kind.yaml <<'END'",
          '      kind: Cluster',
          '      apiVersion: kind.x-k8s.io/v1alpha4',
          '      networking: { apiServerAddress: 0.0.0.0, apiServerPort: 6443 }',
          '      kubeadmConfigPatches:',
          '        - |',
          '          kind: ClusterConfiguration',
          '          apiServer: { certSANs: [docker, localhost] }',
          '      END',
          `    - kind create cluster --name ${shellQuote(kindCluster)} --config /tmp/kind.yaml --wait 2m`,
          `    - kubectl config set-cluster ${shellQuote(`kind-${kindCluster}`)} --server=https://docker:6443`,
        ]),
    ...(writesGit(environment)
      ? [
          '    - test -n "$GIT_PUSH_TOKEN" || { echo "Set the variable GIT_PUSH_TOKEN"; exit 2; }',
          '    # The token is asked for when git pushes; it is written nowhere.',
          '    - git remote set-url origin "$CI_PROJECT_URL.git"',
          `    - git config --global credential.helper '!f() { echo username=oauth2; echo "password=$GIT_PUSH_TOKEN"; }; f'`,
        ]
      : []),
    '    # What the pipeline job published for this commit; nothing is built again.',
    `    - slipway run --env ${name} --only deploy,smoke${isProtected ? ' --yes' : ''}`,
    ...keepReports([]),
  ];
}
