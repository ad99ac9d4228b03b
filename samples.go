// Package samples embeds the samples, so that the program can print and write
// them without a copy of the repository.
package samples

import "embed"

// Files holds conf.d/NAME.toml for each sample, and the templates.
//
//go:embed conf.d/*.toml templates/*.tmpl
var Files embed.FS
