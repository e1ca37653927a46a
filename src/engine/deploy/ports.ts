// Whether Services, containers and probes speak of the same ports.

import { at, type Fields, fieldsOf, listOf, nameOf, refOf, textOf } from '../cluster/index.ts';
import type { Answer } from './answers.ts';
import { containersOf, type PlacedObject, type PodTemplate, podTemplateOf } from './objects.ts';

interface Workload {
  readonly placed: PlacedObject;
  readonly template: PodTemplate;
}

export function checkPorts(objects: readonly PlacedObject[]): readonly Answer[] {
  const workloads = objects.flatMap((placed): readonly Workload[] => {
    const template = podTemplateOf(placed.object);
    return template === undefined ? [] : [{ placed, template }];
  });
  return [
    ...objects.filter(({ object }) => object.kind === 'Service').flatMap((service) => checkService(service, workloads)),
    ...workloads.flatMap(checkProbes),
  ];
}

function checkService(service: PlacedObject, workloads: readonly Workload[]): readonly Answer[] {
  const selector = Object.entries(fieldsOf(at(service.object, 'spec', 'selector')));
  if (selector.length === 0) return [];
  const selected = workloads.filter(({ template }) => {
    const labels = fieldsOf(template.metadata.labels);
    return selector.every(([key, value]) => labels[key] === value);
  });
  // Its pods may belong to another release: nothing is known about them here.
  if (selected.length === 0) return [];
  return listOf(at(service.object, 'spec', 'ports')).flatMap((port): readonly Answer[] => {
    const target = port.targetPort ?? port.port;
    const ports = selected.flatMap(({ template }) => portsOf(template));
    const isNamed = typeof target === 'string' && !/^\d+$/.test(target);
    if (isNamed ? ports.some(({ name }) => name === target) : ports.some(({ number }) => number === Number(target))) {
      return [];
    }
    const names = selected.map(({ placed }) => nameOf(refOf(placed.object))).join(', ');
    const known = ports.map(({ name, number }) => (name === undefined ? String(number) : `${name} (${number})`));
    // Ports that a container does not declare may be open all the same, so only a name that nobody bears is proof.
    if (!isNamed && ports.length === 0) return [];
    return [
      {
        certainty: isNamed ? 'wrong' : 'suspicious',
        code: 'port.mismatch',
        object: refOf(service.object),
        message: `${nameOf(refOf(service.object))} sends port ${String(port.port)} to ${isNamed ? `the port named ${target}` : `port ${String(target)}`}, which no container of ${names} ${isNamed ? 'has' : 'declares'}.`,
        fix: `Set targetPort to one of ${known.join(', ') || 'the ports the container listens on'}, or name the container's port.`,
        ...(service.place !== undefined && { place: service.place }),
      },
    ];
  });
}

interface Port {
  readonly name?: string;
  readonly number: number;
}

function portsOf(template: PodTemplate): readonly Port[] {
  return containersOf(template).flatMap(({ container }) => containerPorts(container));
}

function containerPorts(container: Fields): readonly Port[] {
  return listOf(container.ports).flatMap((port) => {
    const name = textOf(port.name);
    const number = Number(port.containerPort);
    return Number.isInteger(number) ? [{ number, ...(name !== undefined && { name }) }] : [];
  });
}

function checkProbes({ placed, template }: Workload): readonly Answer[] {
  return containersOf(template).flatMap(({ container }) => {
    const ports = containerPorts(container);
    const name = textOf(container.name) ?? '';
    return (['startupProbe', 'livenessProbe', 'readinessProbe'] as const).flatMap((kind): readonly Answer[] => {
      const probe = fieldsOf(container[kind]);
      const port = at(probe, 'httpGet', 'port') ?? at(probe, 'tcpSocket', 'port') ?? at(probe, 'grpc', 'port');
      if (port === undefined || at(probe, 'httpGet', 'host') !== undefined) return [];
      const isNamed = typeof port === 'string' && !/^\d+$/.test(port);
      const isKnown = isNamed
        ? ports.some((own) => own.name === port)
        : ports.some((own) => own.number === Number(port));
      if (isKnown || (!isNamed && ports.length === 0)) return [];
      const known = ports.map((own) => own.name ?? String(own.number)).join(', ');
      return [
        {
          certainty: isNamed ? 'wrong' : 'suspicious',
          code: 'port.mismatch',
          object: refOf(placed.object),
          container: name,
          message: `The ${kind} of container ${name} in ${nameOf(refOf(placed.object))} asks ${isNamed ? `the port named ${port}` : `port ${String(port)}`}, which the container does not ${isNamed ? 'have' : 'declare'}.`,
          fix: `Use one of ${known || 'its ports'}, or declare the port.`,
          ...(placed.place !== undefined && { place: placed.place }),
        },
      ];
    });
  });
}
