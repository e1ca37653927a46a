// One API server with one identity: kubeconfig as kubectl reads it, objects, one watch cache per kind, logs, exec and
// port-forward. Nothing is contacted before a method is called; the client library is loaded on first use.
export { ApiError } from './api.ts';
export {
  Cluster,
  FIELD_MANAGER,
  type ListQuery,
  openCluster,
  type PatchOperation,
  type WriteOptions,
} from './cluster.ts';
export { type ExecResult, execInPod, streamInPod } from './exec.ts';
export type { ClusterTarget } from './kubeconfig.ts';
export { findPodLog, followPodLog, type LogQuery, readPodLog } from './logs.ts';
export {
  at,
  type Fields,
  fieldsOf,
  isFields,
  type KubeObject,
  listOf,
  nameOf,
  numberOf,
  type ObjectMetadata,
  refOf,
  textOf,
} from './object.ts';
export { connectPod, type ForwardTarget, forwardPort, isReady, type PortForward } from './portForward.ts';
export { type Contact, WatchCache, type WatchOptions } from './watchCache.ts';
