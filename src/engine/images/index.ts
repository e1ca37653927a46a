// Images: references, the registry client, buildx, scanners and the gate, publish, signatures.
export { attestationsOf, type CosignTarget, signatureOf } from './cosign.ts';
export { type Credential, findCredential } from './credentials.ts';
export { type GateResult, gate } from './gate.ts';
export { type Manifest, platformsOf } from './manifest.ts';
export { describeImage, type ImageFacts } from './publishStep.ts';
export {
  credentialKey,
  formatReference,
  isHelperTag,
  normalPlatform,
  parseReference,
  type Reference,
  STAGING_TAG,
} from './reference.ts';
export { Registry, registryOf } from './registry.ts';
export { SBOM_FORMATS, sbomsOf, taggedSboms } from './sboms.ts';
export { describeTags, newestByName, type TagView } from './tags.ts';
