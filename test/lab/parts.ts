// All parts, needs before those who need them.
import { buildkitPart, registryDoorPart } from './builders.ts';
import { containerdPart, dockerPart, emulationPart, registryPart } from './docker.ts';
import { fluxParts } from './flux.ts';
import { giteaPart } from './gitea.ts';
import { grypePart } from './grype.ts';
import { builderImagePart, imagesPart } from './images.ts';
import { corednsPart, kubernetesParts } from './kubernetes.ts';
import { networkPart } from './network.ts';
import { packagesPart } from './packages.ts';
import type { Part } from './part.ts';
import { LabError } from './problem.ts';
import { cosignPart, helmPart, trivyPart } from './tools.ts';
import { vscodePart } from './vscode.ts';

export const parts: readonly Part[] = [
  packagesPart,
  emulationPart,
  containerdPart,
  dockerPart,
  registryPart,
  networkPart,
  ...kubernetesParts,
  helmPart,
  trivyPart,
  corednsPart,
  imagesPart,
  ...fluxParts,
  cosignPart,
  grypePart,
  builderImagePart,
  buildkitPart,
  registryDoorPart,
  giteaPart,
  vscodePart,
];

/** The part of that name. Throws LabError with the names there are. */
export function partNamed(name: string): Part {
  const part = parts.find((candidate) => candidate.name === name);
  if (part !== undefined) return part;
  throw new LabError(`There is no part "${name}". Parts: ${parts.map((candidate) => candidate.name).join(', ')}.`);
}
