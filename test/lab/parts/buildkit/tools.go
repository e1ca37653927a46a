//go:build tools

// Pins the programs the lab builds: `go build github.com/moby/buildkit/cmd/buildkitd` inside this module.
package tools

import (
	_ "github.com/moby/buildkit/cmd/buildctl"
	_ "github.com/moby/buildkit/cmd/buildkitd"
)
