//go:build tools

// Pins the program the lab builds: `go build github.com/fluxcd/image-automation-controller` inside this module.
package tools

import _ "github.com/fluxcd/image-automation-controller"
