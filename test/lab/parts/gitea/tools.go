//go:build tools

// Pins the program the lab builds: `go build code.gitea.io/gitea` inside this module.
package tools

import _ "code.gitea.io/gitea"
