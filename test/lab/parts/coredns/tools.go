//go:build tools

// Package coredns pins the program the lab builds: `go build github.com/coredns/coredns` inside this module.
package coredns

import _ "github.com/coredns/coredns"
