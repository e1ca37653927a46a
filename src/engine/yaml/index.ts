// YAML that knows where each of its values stands: one document by paths, or many documents walked node by node.
export { DerivedNode, layered } from './layers.ts';
export { readYamlDocuments, type YamlEntry, type YamlNode } from './nodes.ts';
export { type PlacedYaml, readYaml } from './places.ts';
