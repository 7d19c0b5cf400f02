// Package kubeapi imitates the API server of Kubernetes, as far as Istio's control plane and its command line ask for it:
// discovery, get, list, watch (with bookmarks and with the initial events that client-go's WatchList wants), create,
// update, patch, delete, and the reviews of tokens and of access.
//
// It keeps objects in memory and judges none of them: admission and schemas are tested elsewhere. Everybody may do
// everything, so it listens on addresses that only the test can reach. Objects come from code (Store.Put), from a folder
// of YAML files that is read again when it changes (Folder), or from clients.
//
// What it does not do: run controllers (whoever needs an EndpointSlice puts one in), serve protobuf (it reads it), convert between
// versions, page through lists.
package kubeapi
