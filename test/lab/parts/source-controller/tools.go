//go:build tools

// Pins the program the lab builds: `go build github.com/fluxcd/source-controller` inside this module.
package tools

import _ "github.com/fluxcd/source-controller"
