//go:build tools

// Pins the program the lab builds: `go build github.com/sigstore/cosign/v3/cmd/cosign` inside this module.
package tools

import _ "github.com/sigstore/cosign/v3/cmd/cosign"
