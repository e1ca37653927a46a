// YAML that knows where each of its values stands: one document by paths, or many documents walked node by node.
export { readYamlDocuments, type YamlNode } from './nodes.ts';
export { type PlacedYaml, readYaml } from './places.ts';
