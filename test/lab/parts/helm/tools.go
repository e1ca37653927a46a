//go:build tools

// Package helm pins the program the lab builds: `go build helm.sh/helm/v3/cmd/helm` inside this module.
package helm

import _ "helm.sh/helm/v3/cmd/helm"
