// All detectors of the catalog, called in one place.
import type { ContainerScene, Finding, Scene } from './causes.ts';
import { configFindings } from './causesConfig.ts';
import { controllerFindings } from './causesController.ts';
import { crashFindings } from './causesCrash.ts';
import { creationFindings } from './causesCreation.ts';
import { imageFindings } from './causesImage.ts';
import { probeFindings } from './causesProbe.ts';
import { schedulingFindings } from './causesScheduling.ts';
import { startFindings } from './causesStart.ts';
import { withChanges } from './changedSince.ts';

/** Findings for the workload, worst first within each detector. */
export function findCauses(scene: Scene, containers: readonly ContainerScene[]): readonly Finding[] {
  const findings: Finding[] = [...controllerFindings(scene), ...creationFindings(scene)];
  for (const pod of scene.target.newPods) findings.push(...schedulingFindings(scene, pod));
  for (const container of containers) {
    findings.push(
      ...imageFindings(scene, container),
      ...configFindings(scene, container),
      ...startFindings(scene, container),
      ...crashFindings(scene, container, containers),
    );
  }
  findings.push(...probeFindings(scene, containers));
  return findings.map((finding) => {
    const container = containers.find(
      ({ pod, name }) => pod.metadata.uid === finding.pod && name === finding.container,
    );
    return container === undefined ? finding : withChanges(scene, container, finding);
  });
}
