interface Push {
  readonly files: readonly string[];
  /** A branch, or `refs/tags/…`. */
  readonly ref: string;
  readonly message?: string;
}

export interface PublicCase {
  readonly of: string;
  readonly remote: string;
  readonly files: Readonly<Record<string, string>>;
  readonly pushes: readonly Push[];
}

const GITLAB = '.gitlab-ci.yml';

export const CASES: readonly PublicCase[] = [
  {
    of: 'traefik/traefik',
    remote: 'https://github.com/acme/proxy.git',
    files: {
      // Images come out of make: nothing may be guessed from its arguments.
      '.github/workflows/edge.yaml': `name: Edge image
on:
  push:
    branches: [master, 'v*']
env: { CGO_ENABLED: 0 }
jobs:
  ui:
    if: github.repository == 'acme/proxy'
    uses: ./.github/workflows/part-ui.yaml
  image:
    runs-on: ubuntu-latest
    steps:
      - uses: docker/login-action@v3
        with: { username: '\${{ secrets.HUB_USER }}', password: '\${{ secrets.HUB_TOKEN }}' }
      - name: Image
        env: { DOCKER_BUILDX_ARGS: '--push' }
        run: make multi-arch-image-edge-\${GITHUB_REF##*/}
`,
      '.github/workflows/part-ui.yaml': `on: { workflow_call: {} }
jobs:
  ui:
    runs-on: ubuntu-latest
    steps: [{ run: yarn test }]
`,
      '.github/workflows/binaries.yaml': `name: Binaries
on:
  pull_request:
    branches: ['*']
    paths-ignore: ['docs/**', '**.md']
jobs:
  build:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        os: [darwin, linux]
        arch: [amd64, arm64]
        include:
          - { os: linux, arch: arm, goarm: 6 }
          - { os: linux, arch: arm, goarm: 7 }
    steps:
      - run: make binary
`,
    },
    pushes: [
      {
        files: ['docs/a.md'],
        ref: 'v3.4',
      },
      {
        files: ['main.go'],
        ref: 'vendor/x',
      },
      {
        files: [],
        ref: 'refs/tags/v3.4.0',
      },
    ],
  },
  {
    of: 'immich-app/immich',
    remote: 'git@github.com:acme/photos.git',
    files: {
      '.github/workflows/docker.yml': `name: Docker
on:
  workflow_dispatch:
  push: { branches: [main] }
  pull_request:
  release: { types: [published] }
permissions: {}
jobs:
  build_ml:
    runs-on: \${{ matrix.runner }}
    permissions: { contents: read, packages: write }
    env:
      context: machine-learning
      file: machine-learning/Dockerfile
      REPO: ghcr.io/\${{ github.repository_owner }}/photos-ml
    strategy:
      matrix:
        include:
          - { platform: linux/amd64, runner: ubuntu-latest, device: cpu }
          - { platform: linux/arm64, runner: ubuntu-24.04-arm, device: cpu }
          - { platform: linux/amd64, runner: ubuntu-latest, device: cuda, suffix: -cuda }
    steps:
      - uses: docker/login-action@v3
        if: \${{ !github.event.pull_request.head.repo.fork }}
        with: { registry: ghcr.io, username: '\${{ github.repository_owner }}', password: '\${{ secrets.GITHUB_TOKEN }}' }
      - uses: docker/build-push-action@v6
        with:
          context: \${{ env.context }}
          file: \${{ env.file }}
          platforms: \${{ matrix.platform }}
          outputs: type=image,"name=\${{ env.REPO }}",push-by-digest=true,name-canonical=true,push=\${{ !github.event.pull_request.head.repo.fork }}
          build-args: |
            DEVICE=\${{ matrix.device }}
  merge_ml:
    runs-on: ubuntu-latest
    needs: [build_ml]
    env: { REPO: 'ghcr.io/\${{ github.repository_owner }}/photos-ml', HUB: acme/photos-ml }
    strategy:
      matrix:
        include:
          - { device: cpu }
          - { device: cuda, suffix: -cuda }
    steps:
      - id: meta
        uses: docker/metadata-action@v5
        with:
          flavor: |
            latest=false
            suffix=\${{ matrix.suffix }}
          images: |
            name=\${{ env.REPO }}
            name=\${{ env.HUB }},enable=\${{ github.event_name == 'release' }}
          tags: |
            # the branch
            type=ref,event=branch
            type=sha,format=long,prefix=commit-
            type=raw,value=release,enable=\${{ github.event_name == 'release' }}
`,
    },
    pushes: [{ files: ['a'], ref: 'main' }],
  },
  {
    of: 'go-gitea/gitea',
    remote: 'https://github.com/acme/forge.git',
    files: {
      '.github/workflows/nightly.yml': `name: nightly
on:
  push:
    branches: [ main, release/v* ]
jobs:
  image:
    runs-on: ubuntu-latest
    steps:
      - id: clean
        run: |
          if [ "\${{ github.ref }}" = "refs/heads/main" ]; then
            echo "branch=nightly" >> "$GITHUB_OUTPUT"
            exit 0
          fi
          REF_NAME=$(echo "\${{ github.ref }}" | sed -e 's/refs\\/heads\\///')
          echo "branch=\${REF_NAME}-nightly" >> "$GITHUB_OUTPUT"
      - uses: docker/build-push-action@v4
        with: { context: ., platforms: 'linux/amd64,linux/arm64', push: true, tags: 'acme/forge:\${{ steps.clean.outputs.branch }}' }
      - uses: docker/build-push-action@v4
        with:
          context: .
          platforms: linux/amd64,linux/arm64
          push: true
          file: Dockerfile.rootless
          tags: acme/forge:\${{ steps.clean.outputs.branch }}-rootless
`,
      '.github/workflows/dryrun.yml': `name: dry run
on: { pull_request: {} }
jobs:
  changed:
    uses: ./.github/workflows/changed.yml
  image:
    if: needs.changed.outputs.docker == 'true'
    needs: changed
    runs-on: ubuntu-latest
    steps:
      - uses: docker/build-push-action@v6
        with: { context: ., push: false, platforms: 'linux/amd64,linux/riscv64', cache-from: type=gha }
`,
      '.github/workflows/changed.yml': `on:
  workflow_call:
    outputs: { docker: { value: '\${{ jobs.detect.outputs.docker }}' } }
jobs:
  detect:
    runs-on: ubuntu-latest
    outputs: { docker: '\${{ steps.changes.outputs.docker }}' }
    steps:
      - id: changes
        uses: dorny/paths-filter@v3
`,
    },
    pushes: [
      {
        files: ['a.go'],
        ref: 'release/v1.25',
      },
      {
        files: ['a.go'],
        ref: 'release/v1/x',
      },
    ],
  },
  {
    of: 'argoproj/argo-cd',
    remote: 'https://github.com/acme/cd.git',
    files: {
      '.github/workflows/image.yaml': `name: Image
on:
  push:
    branches: ['release-*']
jobs:
  publish:
    runs-on: ubuntu-latest
    steps:
      - id: image
        run: echo ::set-output name=tag::$(cat ./VERSION)-\${GITHUB_SHA::8}
      - run: docker build -t ghcr.io/acme/cd:\${{ steps.image.outputs.tag }} .
      - run: |
          docker login ghcr.io --username $USERNAME --password $PASSWORD
          docker push ghcr.io/acme/cd:\${{ steps.image.outputs.tag }}
        env: { USERNAME: '\${{ github.repository_owner }}', PASSWORD: '\${{ secrets.TOKEN }}' }
      - env: { SPACE: quay.io/acme }
        run: |
          set -ue
          docker tag ghcr.io/acme/cd:\${{ steps.image.outputs.tag }} \${SPACE}/cd:latest
          docker push \${SPACE}/cd:latest
      - run: git clone "https://$TOKEN@github.com/acme/deployments"
        env: { TOKEN: '\${{ secrets.TOKEN }}' }
      - working-directory: deployments/cd
        if: github.event_name == 'push'
        run: |
          docker run -v $(pwd):/src -w /src --rm -t lyft/kustomizer:v3.3.0 kustomize edit set image quay.io/acme/cd=ghcr.io/acme/cd:\${{ steps.image.outputs.tag }}
          git diff --exit-code && echo 'nothing new' || (git commit -am 'Upgrade' && git push)
`,
    },
    pushes: [
      {
        files: ['a'],
        ref: 'release-2.9',
      },
    ],
  },
  {
    of: 'prometheus/prometheus',
    remote: 'https://github.com/acme/metrics.git',
    files: {
      '.github/workflows/ci.yml': `name: CI
on:
  pull_request:
  push: { branches: [main, 'release-*'], tags: ['v*'] }
jobs:
  test:
    runs-on: ubuntu-latest
    container: { image: 'quay.io/acme/golang-builder:1.25-base' }
    steps:
      - run: go test --tags=stringlabels ./...
  publish_main:
    runs-on: ubuntu-latest
    needs: [test]
    if: (github.event_name == 'push' && github.event.ref == 'refs/heads/main')
    steps:
      - uses: ./.github/actions/publish_main
        with: { hub_login: '\${{ secrets.hub_login }}' }
`,
      '.github/actions/publish_main/action.yml': `name: main
inputs:
  hub_organization: { default: acme }
  hub_login: {}
  quay_organization: { default: acme-quay }
runs:
  using: composite
  steps:
    - uses: ./.github/actions/publish_images
      if: inputs.hub_login != ''
      with: { registry: docker.io, organization: '\${{ inputs.hub_organization }}', login: '\${{ inputs.hub_login }}' }
    - uses: ./.github/actions/publish_images
      with: { registry: quay.io, organization: '\${{ inputs.quay_organization }}' }
`,
      '.github/actions/publish_images/action.yml': `name: images
inputs: { registry: {}, organization: {}, login: {}, password: {} }
runs:
  using: composite
  steps:
    - shell: bash
      run: |
        docker build -t \${{ inputs.registry }}/\${{ inputs.organization }}/metrics:main .
        echo \${{ inputs.password }} | docker login -u \${{ inputs.login }} --password-stdin \${{ inputs.registry }}
        docker push \${{ inputs.registry }}/\${{ inputs.organization }}/metrics:main
`,
    },
    pushes: [
      {
        files: ['README.md'],
        ref: 'refs/tags/v3.1.0',
      },
    ],
  },
  {
    of: 'kyverno/kyverno',
    remote: 'https://github.com/acme/policy.git',
    files: {
      '.github/workflows/publish.yaml': `name: Publish
permissions: {}
on: { push: { branches: ['main', 'release*'] } }
jobs:
  images:
    runs-on: ubuntu-latest
    permissions: { packages: write, id-token: write }
    outputs: { digest: '\${{ steps.one.outputs.digest }}' }
    steps:
      - uses: aquasecurity/trivy-action@ed142fd0673e97e23eac54620cfb913e5ce36c25 # v0.36.0
        with: { scan-type: fs, ignore-unfixed: true, format: sarif, output: trivy.sarif, severity: 'CRITICAL,HIGH' }
      - id: one
        uses: ./.github/actions/publish
        with: { target: ko-publish-one, registry: ghcr.io, repository: '\${{ github.repository_owner }}', sign: true }
  provenance:
    needs: images
    permissions: { id-token: write, packages: write, actions: read }
    uses: slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@v2.1.0
    with: { image: 'ghcr.io/\${{ github.repository_owner }}/policy', digest: '\${{ needs.images.outputs.digest }}' }
`,
      '.github/actions/publish/action.yml': `inputs: { target: {}, registry: {}, repository: {}, sign: {} }
outputs: { digest: { value: '\${{ steps.d.outputs.digest }}' } }
runs:
  using: composite
  steps:
    - shell: bash
      id: d
      run: |
        set -e
        digest=$(VERSION=1 make \${{ inputs.target }})
        echo "digest=\${digest}" >> $GITHUB_OUTPUT
    - shell: bash
      if: inputs.sign == 'true'
      run: cosign sign --yes \${{ steps.d.outputs.digest }}
`,
    },
    pushes: [
      {
        files: ['a'],
        ref: 'release-1.16',
        message: 'chore: notes [ci skip]',
      },
    ],
  },
  {
    of: 'stefanprodan/podinfo',
    remote: 'https://github.com/acme/info.git',
    files: {
      '.github/workflows/release.yml': `name: release
on: { push: { tags: ['*'] } }
permissions: { contents: read }
jobs:
  release:
    runs-on: ubuntu-latest
    permissions: { contents: write, id-token: write, packages: write }
    steps:
      - uses: docker/login-action@v4
        with: { registry: ghcr.io, username: '\${{ github.actor }}', password: '\${{ secrets.GITHUB_TOKEN }}' }
      - id: prep
        run: |
          VERSION=sha-\${GITHUB_SHA::8}
          if [[ $GITHUB_REF == refs/tags/* ]]; then
            VERSION=\${GITHUB_REF/refs\\/tags\\//}
          fi
          echo "VERSION=\${VERSION}" >> $GITHUB_OUTPUT
      - id: meta
        uses: docker/metadata-action@v6
        with:
          images: |
            docker.io/acme/info
            ghcr.io/acme/info
          tags: |
            type=raw,value=\${{ steps.prep.outputs.VERSION }}
            type=raw,value=latest
      - uses: docker/build-push-action@v7
        with: { push: true, context: ., file: ./Dockerfile, platforms: 'linux/amd64,linux/arm64', tags: '\${{ steps.meta.outputs.tags }}' }
      - run: |
          flux push artifact oci://ghcr.io/acme/manifests/info:\${{ steps.prep.outputs.VERSION }} --path="./kustomize"
          helm package charts/info
          cosign sign ghcr.io/acme/info:\${{ steps.prep.outputs.VERSION }} --yes
`,
    },
    pushes: [
      {
        files: ['a'],
        ref: 'main',
      },
      {
        files: [],
        ref: 'refs/tags/release/1',
      },
    ],
  },
  {
    of: 'mastodon/mastodon',
    remote: 'https://github.com/acme/social.git',
    files: {
      '.github/workflows/nightly.yml': `name: nightly
on:
  workflow_dispatch:
  schedule: [{ cron: '0 2 * * *' }]
permissions: { contents: read, packages: write }
jobs:
  suffix:
    runs-on: ubuntu-latest
    outputs: { prerelease: '\${{ steps.v.outputs.pre }}' }
    steps:
      - id: v
        run: echo pre=nightly.$(date +'%Y-%m-%d')>> $GITHUB_OUTPUT
  image:
    needs: suffix
    uses: ./.github/workflows/build-image.yml
    with:
      file_to_build: streaming/Dockerfile
      push_to_images: |
        acme/social
        ghcr.io/acme/social
      flavor: |
        latest=auto
      tags: |
        type=raw,value=edge
        type=raw,value=nightly
        type=schedule,pattern=\${{ needs.suffix.outputs.prerelease }}
    secrets: inherit
`,
      '.github/workflows/build-image.yml': `on:
  workflow_call:
    inputs:
      cache: { type: boolean, default: true }
      push_to_images: { type: string }
      flavor: { type: string }
      tags: { type: string }
      file_to_build: { type: string }
jobs:
  one:
    runs-on: \${{ startsWith(matrix.platform, 'linux/arm') && 'ubuntu-24.04-arm' || 'ubuntu-24.04' }}
    strategy: { matrix: { platform: [linux/amd64, linux/arm64] } }
    steps:
      - env: { PUSH: '\${{ inputs.push_to_images }}' }
        run: |
          names=\${PUSH//$'\\n'/,}
          names_split=\${names%,}
          echo "IMAGE_NAMES=\${names_split,,}" >> $GITHUB_ENV
      - uses: docker/build-push-action@v6
        with:
          context: .
          file: \${{ inputs.file_to_build }}
          platforms: \${{ matrix.platform }}
          push: \${{ inputs.push_to_images != '' }}
          outputs: type=image,"name=\${{ env.IMAGE_NAMES }}",push-by-digest=true,name-canonical=true,push=\${{ inputs.push_to_images != '' }}
  merge:
    if: \${{ inputs.push_to_images != '' }}
    runs-on: ubuntu-24.04
    needs: [one]
    steps:
      - id: meta
        uses: docker/metadata-action@v5
        with: { images: '\${{ inputs.push_to_images }}', flavor: '\${{ inputs.flavor }}', tags: '\${{ inputs.tags }}' }
`,
    },
    pushes: [
      {
        files: ['a'],
        ref: 'main',
      },
    ],
  },
  {
    of: 'home-assistant/core',
    remote: 'https://github.com/acme/home.git',
    files: {
      // A deploy behind another workflow, and anchors within a workflow file.
      '.github/workflows/build.yml': `name: Build
on:
  push: &when
    branches: [main]
    paths: ['src/**', '!src/**/*.md', 'Dockerfile']
  pull_request: *when
jobs:
  image:
    runs-on: ubuntu-latest
    steps:
      - &checkout { uses: actions/checkout@v5 }
      - uses: docker/build-push-action@v6
        with: &push { context: ., push: true, tags: 'ghcr.io/acme/home:\${{ github.sha }}' }
  image-arm:
    runs-on: ubuntu-24.04-arm
    steps:
      - *checkout
      - uses: docker/build-push-action@v6
        with:
          <<: *push
          platforms: linux/arm64
`,
      '.github/workflows/deploy.yml': `name: Deploy
on:
  workflow_run:
    workflows: [Build]
    types: [completed]
    branches: [main]
jobs:
  deploy:
    if: github.event.workflow_run.conclusion == 'success'
    runs-on: ubuntu-latest
    environment: production
    steps:
      - run: helm upgrade --install home ./chart -n home --set image.tag=\${{ github.event.workflow_run.head_sha }} --wait
`,
    },
    pushes: [
      {
        files: ['src/a/README.md'],
        ref: 'main',
      },
      { files: ['src/a/README.md', 'src/a.py'], ref: 'main' },
    ],
  },
  {
    of: 'forgejo/forgejo',
    remote: 'https://codeberg.org/acme/forge.git',
    files: {
      '.forgejo/workflows/build-release.yml': `on:
  push:
    tags: 'v[0-9]+.[0-9]+.*'
    branches: ['forgejo', 'v*/forgejo']
jobs:
  release:
    runs-on: self-hosted
    if: vars.ROLE == 'integration' || github.repository_owner == 'root'
    steps:
      - uses: actions/checkout@v3
      - id: info
        run: |
          ref="\${{ github.ref }}"
          if [[ $ref =~ ^refs/heads/ ]] ; then
            version=\${ref#refs/heads/}
            version=\${version%/forgejo}-test
          fi
          if [[ $ref =~ ^refs/tags/ ]] ; then
            version=\${ref#refs/tags/}
          fi
          version=\${version#v}
          echo "version=$version" >> "$GITHUB_OUTPUT"
      - uses: https://code.forgejo.org/forgejo/forgejo-build-publish/build@v5.1.1
        with: { platforms: 'linux/amd64,linux/arm64,linux/arm/v6', release-version: '\${{ steps.info.outputs.version }}' }
      - uses: https://github.com/docker/build-push-action@v4
        with:
          context: .
          push: true
          platforms: linux/amd64,linux/arm64
          file: Dockerfile.rootless
          tags: codeberg.org/acme/forge:\${{ steps.info.outputs.version }}-rootless
`,
      '.github/workflows/mirror.yml':
        'on: push\njobs: { a: { runs-on: x, steps: [{ run: docker build -t acme/forge . }] } }\n',
    },
    pushes: [
      {
        files: ['a'],
        ref: 'v11.0/forgejo',
      },
      {
        files: [],
        ref: 'refs/tags/v11.0.1',
      },
      {
        files: ['a'],
        ref: 'forgejo',
        message: 'x [skip ci]',
      },
    ],
  },
  {
    of: 'qemu/qemu',
    remote: 'https://gitlab.com/acme/machine.git',
    files: {
      [GITLAB]: `include:
  - local: '/.gitlab-ci.d/base.yml'
  - local: '/.gitlab-ci.d/containers.yml'
stages: [containers, build]
`,
      '.gitlab-ci.d/base.yml': `variables: { CONTAINER_TAG: latest }
.base_job:
  rules:
    - if: '$JOB_CIRRUS && ($CIRRUS_REPO == "" || $CIRRUS_TOKEN == "")'
      when: never
    - if: '$JOB_OPTIONAL'
      when: manual
      allow_failure: true
    - when: on_success
`,
      '.gitlab-ci.d/containers.yml': `include: [{ local: .gitlab-ci.d/template.yml }]
amd64-debian:
  extends: .container
  variables: { NAME: debian, DOCKERFILE: debian-all }
s390x-debian:
  extends: .container
  variables: { NAME: debian-s390x, JOB_OPTIONAL: 1 }
`,
      '.gitlab-ci.d/template.yml': `.container:
  extends: .base_job
  image: docker:27
  stage: containers
  services: [docker:27-dind]
  before_script:
    - export TAG="$CI_REGISTRY_IMAGE/$NAME:$CONTAINER_TAG"
    - export COMMON="$CI_REGISTRY/acme/machine/$NAME:latest"
    - docker login $CI_REGISTRY -u "$CI_REGISTRY_USER" -p "$CI_REGISTRY_PASSWORD"
    - export DOCKERFILE_NAME=\${DOCKERFILE:-$NAME}
  script:
    - docker build --tag "$TAG" --cache-from "$TAG" --cache-from "$COMMON"
      $BUILD_ARGS
      -f "tests/docker/$DOCKERFILE_NAME.docker" "."
    - docker push "$TAG"
`,
    },
    pushes: [
      {
        files: ['a.c'],
        ref: 'main',
      },
    ],
  },
  {
    of: 'DataDog/datadog-agent',
    remote: 'https://gitlab.com/acme/agent.git',
    files: {
      [GITLAB]: `include:
  - .gitlab/build.yml
  - { project: acme/ci-library, file: [/release.yml], ref: v4 }
.if_main: &main
  if: $CI_COMMIT_BRANCH == "main"
workflow:
  rules:
    - <<: *main
      variables: { GO_ALL: 'true' }
    - if: $CI_COMMIT_BRANCH =~ /^[0-9]+\\.[0-9]+\\.x$/
    - if: $CI_COMMIT_TAG != null
    - if: $CI_COMMIT_BRANCH != "main"
      variables: { GO_ALL: 'false' }
variables:
  COMPARE_TO: main
  CI_IMAGE_X64: v67-0c93
.mergequeue: &mergequeue
  if: $CI_COMMIT_BRANCH =~ /^mq-working-branch-/
.except_mergequeue:
  - <<: *mergequeue
    when: never
.on_all:
  - !reference [.except_mergequeue]
  - if: $GO_ALL == "true"
.on_packaging:
  - !reference [.except_mergequeue]
  - changes:
      paths: [omnibus/**/*, .gitlab-ci.yml]
      compare_to: $COMPARE_TO
  - when: manual
    allow_failure: true
`,
      '.gitlab/build.yml': `.build:
  stage: build
  script:
    - TARGET=\${IMAGE}:v\${CI_PIPELINE_ID}-\${CI_COMMIT_SHORT_SHA}$TAG_SUFFIX-$ARCH
    - docker buildx build --no-cache --push --platform linux/$ARCH --file $BUILD_CONTEXT/Dockerfile --tag \${TARGET} $BUILD_CONTEXT
.build_amd64:
  extends: .build
  image: registry.acme.example/build/docker_x64:$CI_IMAGE_X64
  variables: { ARCH: amd64 }
agent:
  extends: .build_amd64
  rules: !reference [.on_all]
  variables: { IMAGE: registry.acme.example/ci/agent, BUILD_CONTEXT: Dockerfiles/agent, TAG_SUFFIX: '-7' }
agent_fips:
  extends: [.build_amd64, .not_here]
  variables: { IMAGE: registry.acme.example/ci/agent-fips, BUILD_CONTEXT: Dockerfiles/agent }
packaging:
  stage: test
  rules:
    - !reference [.on_packaging]
  script: [!reference [.setup, script], 'go test ./...']
`,
    },
    pushes: [
      { files: ['pkg/a.go'], ref: 'main' },
      { files: ['omnibus/x/y.rb'], ref: 'feature' },
      { files: ['pkg/a.go'], ref: 'mq-working-branch-1' },
    ],
  },
  {
    of: 'gitlab-org/gitlab',
    remote: 'https://gitlab.com/acme/rails.git',
    files: {
      [GITLAB]: `stages: [build-images, review]
default:
  image: ruby:3.3
  interruptible: true
workflow:
  name: $PIPELINE_NAME
  rules:
    - if: '$CI_MERGE_REQUEST_IID'
    - if: '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_PIPELINE_SOURCE == "push"'
    - if: '$CI_COMMIT_TAG'
include:
  - local: .gitlab/ci/*.gitlab-ci.yml
  - local: .gitlab/optional.yml
    rules: [{ exists: [ee/**/*] }]
  - component: $CI_SERVER_FQDN/acme/components/scan@2.0
`,
      '.gitlab/ci/images.gitlab-ci.yml': `.kaniko:
  image: { name: 'gcr.io/kaniko-project/executor:v1.23.2-debug', entrypoint: [''] }
  before_script: [!reference [.login, script]]
build-qa-image:
  extends: [.kaniko, '.images:rules:qa']
  stage: build-images
  needs: []
  script:
    - /kaniko/executor --context=$CI_PROJECT_DIR --dockerfile=qa/Dockerfile --destination="$CI_REGISTRY_IMAGE/qa:$CI_COMMIT_SHA"
build-qa-image as-if-foss:
  extends: build-qa-image
  rules: null
  when: manual
`,
      '.gitlab/ci/rules.gitlab-ci.yml': `.qa-patterns: &qa-patterns
  - 'qa/**/*'
  - '{Gemfile,Gemfile.lock}'
.login: { script: ['echo "{}" > /kaniko/.docker/config.json'] }
'.images:rules:qa':
  rules:
    - if: '$CI_COMMIT_TAG'
      when: never
    - changes: *qa-patterns
`,
      '.gitlab/ci/review.gitlab-ci.yml': `review:
  stage: review
  rules:
    - changes: [charts/**/*]
  variables: { DOMAIN: review.acme.example }
  trigger:
    strategy: depend
    include: [{ local: .gitlab/review/main.yml }, { artifact: generated.yml, job: make-it }]
notify:
  stage: review
  trigger: { project: acme/notify, branch: main }
`,
      '.gitlab/review/main.yml': `stages: [deploy]
spec-free: { script: [echo] , rules: [{ if: '$CI_PIPELINE_SOURCE == "push"' }] }
deploy:
  stage: deploy
  environment: { name: review/$CI_COMMIT_REF_SLUG, url: 'https://$DOMAIN' }
  script:
    - helm upgrade --install review charts/rails -n review --set host=$DOMAIN
`,
      '.gitlab/optional.yml': "ee-only: { stage: review, script: ['npm test'] }\n",
    },
    pushes: [
      { files: ['qa/spec/a.rb'], ref: 'main' },
      { files: ['charts/rails/values.yaml'], ref: 'main' },
      { files: ['qa/a.rb'], ref: 'feature' },
      { files: [], ref: 'refs/tags/v1' },
    ],
  },
];
