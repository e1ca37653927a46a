// Rows of the Images & Policies view as data: pure, so that they are tested without an editor.
import type {
  ImagePolicyObject,
  LinkedMarker,
  MarkerState,
  PolicyState,
  TagList,
  UpdaterTarget,
} from '../../engine/markers/index.ts';
import type { Item } from '../views/pipelineItems.ts';
import { age } from '../words.ts';
import type { Markers } from './repository.ts';
import { count, detailWords, policyWords, tagsAge } from './words.ts';

export function imageItem(
  image: string,
  facts: { readonly list: TagList | undefined; readonly behind: number; readonly from: readonly string[] },
  now: number,
): Item {
  const { list, behind, from } = facts;
  const name = image.split('/').at(-1) ?? image;
  const known =
    list === undefined
      ? 'tags not fetched yet'
      : `${count(list.tags.length, 'tag')}, fetched ${age(list.fetchedAt, now)}`;
  const pending = behind === 0 ? [] : [`${count(behind, 'marker')} behind`];
  return {
    label: name,
    description: [...pending, known].join(' · '),
    icon: 'package',
    ...(behind > 0 && { color: 'charts.yellow' }),
    tooltip: [`**${image}**`, known, ...from],
    contextValue: behind > 0 ? 'image.behind' : 'image',
    spoken: [`image ${name}`, ...pending, known].join(', '),
  };
}

export function policyItem(
  markers: Markers,
  policy: ImagePolicyObject,
  state: PolicyState,
  facts: { readonly markers: number; readonly behind: number },
  now: number,
): Item {
  const name = markers.policyName(policy);
  const result = state.kind === 'selected' ? state.tag : policyWords(state, now);
  const pending =
    facts.behind > 0 ? `${count(facts.behind, 'marker')} behind` : facts.markers === 0 ? 'no markers' : 'up to date';
  const rest = state.kind === 'selected' ? [result, pending] : [result];
  const isBroken = state.kind === 'invalid' || state.kind === 'none' || state.kind === 'no-repository';
  return {
    label: name,
    description: [...rest, ...(policy.suspended ? ['suspended'] : [])].join(' · '),
    icon: isBroken ? 'warning' : facts.behind > 0 ? 'arrow-circle-up' : 'checklist',
    ...(isBroken ? { color: 'problemsWarningIcon.foreground' } : facts.behind > 0 ? { color: 'charts.yellow' } : {}),
    tooltip: [`**ImagePolicy ${name}**`, markers.ruleWords(policy), policyWords(state, now)],
    contextValue: facts.behind > 0 ? 'policy.behind' : 'policy.current',
    spoken: [`policy ${name}`, ...rest].join(', '),
  };
}

export function markerItem(
  markers: Markers,
  { marker, file, place, automations }: LinkedMarker,
  state: MarkerState,
): Item {
  const line = (place.range?.start.line ?? 0) + 1;
  // A row has no room for a whole image name; the tooltip has it.
  const value = markers.shortValue(marker);
  const current = marker.setter.part === 'name' ? (value.split('/').at(-1) ?? value) : value;
  const words = state.kind === 'behind' ? `${current} → ${markers.shortNext(marker, state)}` : current;
  const writer =
    automations.length === 0
      ? 'written by no automation'
      : `written by ${automations.map(({ name }) => name).join(', ')}`;
  return {
    label: words,
    description: `${file}:${line}`,
    icon: state.kind === 'behind' ? 'arrow-up' : state.kind === 'current' ? 'check' : 'circle-outline',
    ...(state.kind === 'behind' && { color: 'charts.yellow' }),
    tooltip: [`${file}:${line}`, marker.current, writer],
    contextValue: state.kind === 'behind' ? 'marker.behind' : `marker.${state.kind}`,
    spoken: `marker in ${file} line ${line}, ${state.kind === 'behind' ? `${current}, would become ${markers.shortNext(marker, state)}` : current}`,
  };
}

export function updaterItem(
  markers: Markers,
  { app, image, current, file }: UpdaterTarget,
  list: TagList | undefined,
  now: number,
): Item {
  const choice = list === undefined ? undefined : markers.updaterChoice(image, list);
  const here = current?.tag ?? 'no tag in Git';
  const isBehind = choice?.tag !== undefined && choice.tag !== current?.tag;
  const words =
    list === undefined
      ? [here, 'tags not fetched yet']
      : isBehind
        ? [`${here} → ${choice.tag}`]
        : [here, choice?.note ?? 'up to date'];
  return {
    label: app.name,
    description: [...words, `Image Updater ${image.generation}`].join(' · '),
    icon: isBehind ? 'arrow-circle-up' : 'sync',
    ...(isBehind && { color: 'charts.yellow' }),
    tooltip: [
      `**Application ${app.name}**`,
      `${image.strategy}${image.constraint === undefined ? '' : ` ${image.constraint}`} on ${image.image}, in ${file}`,
      ...(list === undefined ? [] : [tagsAge(list, now)]),
    ],
    contextValue: isBehind ? 'updater.behind' : 'updater.current',
    spoken: [`application ${app.name}`, ...words].join(', '),
  };
}

export function tagItem(
  markers: Markers,
  tag: string,
  list: TagList,
  uses: { readonly selectedBy: readonly string[]; readonly usedBy: number },
  now: number,
): Item {
  const { selectedBy, usedBy } = uses;
  const detail = list.details[tag];
  const words = [
    ...(detail?.created === undefined ? [] : [age(detail.created, now)]),
    ...(selectedBy.length === 0 ? [] : [`wins ${selectedBy.join(', ')}`]),
    ...(usedBy === 0 ? [] : [`in ${count(usedBy, 'marker')}`]),
    ...(detail?.isSigned === true ? ['signed'] : []),
  ];
  return {
    label: tag,
    description: words.join(' · '),
    icon: selectedBy.length > 0 ? 'star-full' : 'tag',
    tooltip: [
      `**${list.image}:${tag}**`,
      ...(detail === undefined ? ['not looked at closely'] : [detailWords(markers, detail, now), detail.digest]),
    ],
    contextValue: 'tag',
    spoken: [`tag ${tag}`, ...words].join(', '),
  };
}
