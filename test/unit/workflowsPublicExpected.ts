/** What a person reads out of the cases: by repository the notes of each workflow, and what each push starts. */
export const EXPECTED: Readonly<
  Record<
    string,
    {
      readonly notes: Readonly<Record<string, readonly string[]>>;
      readonly pushes: Readonly<Record<string, readonly string[]>>;
    }
  >
> = {
  'traefik/traefik': {
    notes: {
      '.github/workflows/binaries.yaml': [],
      '.github/workflows/edge.yaml': ['test yarn test in .', 'login '],
    },
    pushes: {
      'docs/a.md on v3.4': [
        '.github/workflows/binaries.yaml no: It does not start on pushes, only on pull_request. With an open pull request from this branch it may start.',
        '.github/workflows/edge.yaml yes: The branch v3.4 matches.',
      ],
      'main.go on vendor/x': [
        '.github/workflows/binaries.yaml no: It does not start on pushes, only on pull_request. With an open pull request from this branch it may start.',
        '.github/workflows/edge.yaml no: The branch vendor/x does not match.',
      ],
      ' on refs/tags/v3.4.0': [
        '.github/workflows/binaries.yaml no: It does not start on pushes, only on pull_request.',
        '.github/workflows/edge.yaml no: Only branch filters are given, so no tag push starts it.',
      ],
    },
  },
  'immich-app/immich': {
    notes: {
      '.github/workflows/docker.yml': [
        'build ghcr.io/acme/photos-ml + acme/photos-ml, in machine-learning with machine-learning/Dockerfile, for linux/amd64 linux/arm64, tags {branch} commit-{sha:40} (type=raw,value=release,enable=…), pushed unknown',
        'build ghcr.io/acme/photos-ml + acme/photos-ml, in machine-learning with machine-learning/Dockerfile, for linux/amd64, tags {branch}-cuda commit-{sha:40}-cuda (type=raw,value=release,enable=…), pushed unknown',
        'login ghcr.io',
      ],
    },
    pushes: {
      'a on main': ['.github/workflows/docker.yml yes: The branch main matches.'],
    },
  },
  'go-gitea/gitea': {
    notes: {
      '.github/workflows/dryrun.yml': ['build ?, in ., for linux/amd64 linux/riscv64, tags , pushed no'],
      '.github/workflows/nightly.yml': [
        'build acme/forge, in ., for linux/amd64 linux/arm64, tags (${?branch}), pushed yes',
        'build acme/forge, in . with Dockerfile.rootless, for linux/amd64 linux/arm64, tags (${?branch}-rootless), pushed yes',
      ],
    },
    pushes: {
      'a.go on release/v1.25': [
        '.github/workflows/dryrun.yml no: It does not start on pushes, only on pull_request. With an open pull request from this branch it may start.',
        '.github/workflows/nightly.yml yes: The branch release/v1.25 matches.',
      ],
      'a.go on release/v1/x': [
        '.github/workflows/dryrun.yml no: It does not start on pushes, only on pull_request. With an open pull request from this branch it may start.',
        '.github/workflows/nightly.yml no: The branch release/v1/x does not match.',
      ],
    },
  },
  'argoproj/argo-cd': {
    notes: {
      '.github/workflows/image.yaml': [
        'build ghcr.io/acme/cd + quay.io/acme/cd, in ., tags latest (${?steps.image.outputs.tag}), pushed yes',
        'login ghcr.io',
        'deploy kustomize-set-image deployments/cd, image ghcr.io/acme/cd:${?steps.image.outputs.tag}',
        'commit back',
      ],
    },
    pushes: {
      'a on release-2.9': ['.github/workflows/image.yaml yes: The branch release-2.9 matches.'],
    },
  },
  'prometheus/prometheus': {
    notes: {
      '.github/workflows/ci.yml': [
        'build docker.io/acme/metrics, in ., tags main, pushed yes',
        'build quay.io/acme-quay/metrics, in ., tags main, pushed yes',
        'test go test --tags=stringlabels ./... in .',
        'login docker.io',
        'login quay.io',
      ],
    },
    pushes: {
      'README.md on refs/tags/v3.1.0': ['.github/workflows/ci.yml yes: The tag v3.1.0 matches.'],
    },
  },
  'kyverno/kyverno': {
    notes: {
      '.github/workflows/publish.yaml': [
        'scan  by trivy-action: , reports, unfixed ignored yes',
        'sign by cosign',
        'info workflow.unresolved',
      ],
    },
    pushes: {
      'a on release-1.16': ['.github/workflows/publish.yaml no: The commit message carries [ci skip].'],
    },
  },
  'stefanprodan/podinfo': {
    notes: {
      '.github/workflows/release.yml': [
        'build docker.io/acme/info + ghcr.io/acme/info, in . with ./Dockerfile, for linux/amd64 linux/arm64, tags latest (type=raw,value=…), pushed yes',
        'login ghcr.io',
        'sign by cosign',
      ],
    },
    pushes: {
      'a on main': ['.github/workflows/release.yml no: Only tag filters are given, so no branch push starts it.'],
      ' on refs/tags/release/1': ['.github/workflows/release.yml no: The tag release/1 does not match.'],
    },
  },
  'mastodon/mastodon': {
    notes: {
      '.github/workflows/nightly.yml': [
        'build acme/social + ghcr.io/acme/social, in . with streaming/Dockerfile, for linux/amd64 linux/arm64, tags edge nightly (type=schedule,pattern=nightly.…), pushed yes',
      ],
    },
    pushes: {
      'a on main': [
        '.github/workflows/nightly.yml no: It does not start on pushes, only on workflow_dispatch, schedule.',
      ],
    },
  },
  'home-assistant/core': {
    notes: {
      '.github/workflows/build.yml': [
        'build ghcr.io/acme/home, in ., tags {sha:40}, pushed yes',
        'build ghcr.io/acme/home, in ., for linux/arm64, tags {sha:40}, pushed yes',
      ],
      '.github/workflows/deploy.yml': [
        'deploy helm ./chart, release home, namespace home, image.tag=${?github.event.workflow_run.head_sha}, environment production',
      ],
    },
    pushes: {
      'src/a/README.md on main': [
        '.github/workflows/build.yml no: No changed file matches paths.',
        '.github/workflows/deploy.yml no: It does not start on pushes, only on workflow_run.',
      ],
      'src/a/README.md src/a.py on main': [
        '.github/workflows/build.yml yes: A changed file matches paths.',
        '.github/workflows/deploy.yml no: It does not start on pushes, only on workflow_run.',
      ],
    },
  },
  'forgejo/forgejo': {
    notes: {
      '.forgejo/workflows/build-release.yml': [
        'build codeberg.org/acme/forge, in . with Dockerfile.rootless, for linux/amd64 linux/arm64, tags (${?${version#v}}-rootless), pushed yes',
      ],
    },
    pushes: {
      'a on v11.0/forgejo': ['.forgejo/workflows/build-release.yml yes: The branch v11.0/forgejo matches.'],
      ' on refs/tags/v11.0.1': ['.forgejo/workflows/build-release.yml yes: The tag v11.0.1 matches.'],
      'a on forgejo': ['.forgejo/workflows/build-release.yml no: The commit message carries [skip ci].'],
    },
  },
  'qemu/qemu': {
    notes: {
      '.gitlab-ci.yml': [
        'build registry.gitlab.com/acme/machine/debian, in . with tests/docker/debian-all.docker, tags latest, pushed yes',
        'build registry.gitlab.com/acme/machine/debian-s390x, in . with tests/docker/debian-s390x.docker, tags latest, pushed yes',
        'login registry.gitlab.com',
        'login registry.gitlab.com',
        'service docker docker:27-dind {}',
        'service docker docker:27-dind {}',
      ],
    },
    pushes: {
      'a.c on main': [
        '.gitlab-ci.yml unknown: Whether amd64-debian, s390x-debian run depends on what is not in the file.',
        'amd64-debian unknown: Rule 1 depends on $JOB_CIRRUS, $CIRRUS_REPO, $CIRRUS_TOKEN.',
        's390x-debian unknown: Rule 1 depends on $JOB_CIRRUS, $CIRRUS_REPO, $CIRRUS_TOKEN.',
      ],
    },
  },
  'DataDog/datadog-agent': {
    notes: {
      '.gitlab-ci.yml': [
        'build registry.acme.example/ci/agent, in Dockerfiles/agent with Dockerfiles/agent/Dockerfile, for linux/amd64, tags (v${run-id}-${sha:8}-7-amd64), pushed yes',
        'build registry.acme.example/ci/agent-fips, in Dockerfiles/agent with Dockerfiles/agent/Dockerfile, for linux/amd64, tags (v${run-id}-${sha:8}${?$TAG_SUFFIX}-amd64), pushed yes',
        'test go test ./... in .',
        'info workflow.unresolved',
        'info workflow.unresolved',
        'info workflow.unresolved',
      ],
    },
    pushes: {
      'pkg/a.go on main': [
        '.gitlab-ci.yml yes: It runs agent; /release.yml of acme/ci-library@v4 is not read and may add or change jobs.',
        'agent yes: Rule 2 matches.',
        'agent_fips unknown: Rule 1 depends on .not_here.',
        'packaging unknown: Rule 2 depends on earlier commits or variables.',
      ],
      'omnibus/x/y.rb on feature': [
        '.gitlab-ci.yml yes: It runs packaging; /release.yml of acme/ci-library@v4 is not read and may add or change jobs.',
        'agent no: No rule matches.',
        'agent_fips unknown: Rule 1 depends on .not_here.',
        'packaging yes: Rule 2 matches.',
      ],
      'pkg/a.go on mq-working-branch-1': [
        '.gitlab-ci.yml unknown: Whether agent_fips run depends on what is not in the file; /release.yml of acme/ci-library@v4 is not read and may add or change jobs.',
        'agent no: Rule 1 says never.',
        'agent_fips unknown: Rule 1 depends on .not_here.',
        'packaging no: Rule 1 says never.',
      ],
    },
  },
  'gitlab-org/gitlab': {
    notes: {
      '.gitlab-ci.yml': [
        'build registry.gitlab.com/acme/rails/qa, in . with qa/Dockerfile, tags {sha:40}, pushed yes',
        'build registry.gitlab.com/acme/rails/qa, in . with qa/Dockerfile, tags {sha:40}, pushed yes',
        'deploy helm charts/rails, release review, namespace review, host=review.acme.example, environment review/${ref-name}',
        'test npm test in .',
        'info workflow.unresolved',
        'info workflow.unresolved',
        'info workflow.unresolved',
      ],
    },
    pushes: {
      'qa/spec/a.rb on main': [
        '.gitlab-ci.yml yes: It runs build-qa-image, notify; build-qa-image as-if-foss to be started by hand; $CI_SERVER_FQDN/acme/components/scan@2.0 is not read and may add or change jobs.',
        'build-qa-image yes: Rule 2 matches.',
        'build-qa-image as-if-foss yes: It is to be started by hand.',
        'review no: No rule matches.',
        'review / spec-free no: The job that starts its pipeline: no rule matches.',
        'review / deploy no: The job that starts its pipeline: no rule matches.',
        'notify yes: The job has no rules.',
        'ee-only no: The rules of its include or pipeline: no rule matches.',
      ],
      'charts/rails/values.yaml on main': [
        '.gitlab-ci.yml yes: It runs review, review / deploy, notify; build-qa-image as-if-foss to be started by hand; $CI_SERVER_FQDN/acme/components/scan@2.0 is not read and may add or change jobs.',
        'build-qa-image no: No rule matches.',
        'build-qa-image as-if-foss yes: It is to be started by hand.',
        'review yes: Rule 1 matches.',
        'review / spec-free no: No rule matches.',
        'review / deploy yes: The job has no rules.',
        'notify yes: The job has no rules.',
        'ee-only no: The rules of its include or pipeline: no rule matches.',
      ],
      'qa/a.rb on feature': [
        '.gitlab-ci.yml no: By its workflow:rules, no rule matches. With an open merge request of this branch it may start.',
      ],
      ' on refs/tags/v1': [
        '.gitlab-ci.yml yes: It runs review, review / deploy, notify; build-qa-image as-if-foss to be started by hand; $CI_SERVER_FQDN/acme/components/scan@2.0 is not read and may add or change jobs.',
        'build-qa-image no: Rule 1 says never.',
        'build-qa-image as-if-foss yes: It is to be started by hand.',
        'review yes: Rule 1 matches.',
        'review / spec-free no: No rule matches.',
        'review / deploy yes: The job has no rules.',
        'notify yes: The job has no rules.',
        'ee-only no: The rules of its include or pipeline: no rule matches.',
      ],
    },
  },
};
