import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readTemplateImages } from '../../src/engine/project/discovery/chartTemplates.ts';
import { readConfig } from '../../src/engine/project/index.ts';
import { discover } from './bakeParts.ts';

const HELPERS = `{{/* image of the api */}}
{{- define "shop.apiImage" -}}
{{- $tag := .Values.api.image.tag | default .Chart.AppVersion -}}
{{- if .Values.global.registry -}}
{{- printf "%s/%s:%s" .Values.global.registry .Values.api.image.repository $tag -}}
{{- else -}}
{{- printf "%s:%s" .Values.api.image.repository $tag -}}
{{- end -}}
{{- end -}}
{{- define "shop.webImage" -}}
{{ include "common.images.image" (dict "imageRoot" .Values.web.image "global" .Values.global) }}
{{- end -}}
`;
const written = (image: string, before = '', after = '') =>
  readTemplateImages([
    { path: 'templates/_helpers.tpl', text: HELPERS, file: '/c/templates/_helpers.tpl' },
    { path: 'templates/a.yaml', text: `${before}\n      - image: ${image}\n${after}`, file: '/c/templates/a.yaml' },
  ]).map(({ ways, place }) => [
    place.range?.start.line,
    ...ways.map((way) =>
      way
        .map((part) =>
          'key' in part ? `{${part.key}}` : 'text' in part ? part.text.replace('\0', '<app>') : `?${part.open}?`,
        )
        .join(''),
    ),
  ]);

describe('readTemplateImages', () => {
  it.each([
    [
      '"{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"',
      '{image.repository}:{image.tag}',
      '{image.repository}:<app>',
    ],
    ['{{ .Values.image | quote }}', '{image}'],
    ['"{{ $.Values.a.b }}/x:{{ default "latest" .Values.tag }}"', '{a.b}/x:{tag}', '{a.b}/x:latest'],
    [
      '{{ include "shop.apiImage" . }}',
      '{global.registry}/{api.image.repository}:{api.image.tag}',
      '{global.registry}/{api.image.repository}:<app>',
      '{api.image.repository}:{api.image.tag}',
      '{api.image.repository}:<app>',
    ],
    ['{{ include "shop.webImage" $ }}', '{web.image.registry}/{web.image.repository}:{web.image.tag}'],
    ['{{ include "other.image" . }}', '?include "other.image"?'],
    ['{{ (coalesce .Values.x .Values.y) }}', '{x}', '{y}'],
    ['{{ tpl .Values.image $ }}', '{image}'],
    ['nginx:{{ .Values.tag }}', 'nginx:{tag}'],
  ])('%s', (image, ...ways) => {
    expect(written(image)).toEqual([[1, ...ways]]);
  });

  it('follows with and variables, and says what a loop hides', () => {
    expect(written('"{{ .repository }}:{{ .version }}"', '{{- with .Values.worker }}', '{{- end }}')).toEqual([
      [1, '{worker.repository}:{worker.version}'],
    ]);
    expect(written('{{ $image.repository }}:{{ $image.tag }}', '{{- $image := .Values.cron.image }}')).toEqual([
      [1, '{cron.image.repository}:{cron.image.tag}'],
    ]);
    expect(written('{{ .repository }}', '{{- range .Values.all }}', '{{- end }}')).toEqual([[1, '?.repository?']]);
    expect(written('{{ .Values.x }}', '{{- range .Values.all }}\n{{- if .y }}{{- end }}{{- end }}')).toEqual([
      [2, '{x}'],
    ]);
  });
});

it('a chart whose templates put images together: the keys are found, and what carries none is said with its line', async () => {
  const { project } = await discover({
    'api/Dockerfile': 'FROM alpine\n',
    'web/Dockerfile': 'FROM alpine\n',
    'cron/Dockerfile': 'FROM alpine\n',
    'chart/Chart.yaml': 'apiVersion: v2\nname: shop\nversion: 1.0.0\n',
    'chart/values.yaml': `global: { registry: ghcr.io/acme }
api: { image: { repository: shop-api, tag: "" } }
web: { image: { registry: ghcr.io, repository: acme/shop-web, tag: "1", digest: "" } }
cron: { image: { name: ghcr.io/acme/shop-cron } }
`,
    'chart/templates/_helpers.tpl': HELPERS,
    'chart/templates/all.yaml': `spec:
  - image: {{ include "shop.apiImage" . }}
  - image: {{ include "shop.webImage" . }}
  - image: "{{ .Values.cron.image.name }}:{{ .Chart.AppVersion }}"
`,
  });
  expect(project.environments[0]?.deploy).toMatchObject({
    images: { api: '{global.registry}/{api.image.repository}:{api.image.tag}', web: 'web.image' },
  });
  expect(project.images.find(({ name }) => name === 'api')?.repository).toBe('ghcr.io/acme/shop-api');
  expect(project.diagnostics.find(({ message }) => message.includes('.Values.cron'))).toMatchObject({
    message: expect.stringContaining("its tag is the chart's version, and no value carries it"),
    place: { range: { start: { line: 3 } } },
  });
});

it('slipway.yaml says where a composition of keys is wrong', () => {
  const text = `version: 1
images: { api: { repository: r.example.com/api } }
environments:
  dev:
    deploy: { helm: { chart: ., images: { api: "{api.repository}" } } }
`;
  expect(readConfig(text, '/w/slipway.yaml', '/w').diagnostics).toMatchObject([
    { code: 'config.image-keys', place: { range: { start: { line: 4 } } } },
  ]);
  expect(readFileSync('docs/configuration.md', 'utf8')).toContain('{global.registry}/{api.repository}:{api.tag}');
});
