//go:build tools

// Package trivy pins the program the lab builds: `go build github.com/aquasecurity/trivy/cmd/trivy` inside this module.
package trivy

import _ "github.com/aquasecurity/trivy/cmd/trivy"
