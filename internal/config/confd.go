package config

// noEffect are options that a version of confd has or had and that mean
// nothing here, with what a user who moves from confd is to do about each. In
// a configuration file they are a warning, on the command line an error.
var noEffect = map[string]string{
	"app-id":         forOtherBackend,
	"auth-token":     forOtherBackend,
	"auth-type":      forOtherBackend,
	"consul":         forOtherBackend,
	"consul-addr":    forOtherBackend,
	"path":           forOtherBackend,
	"role-id":        forOtherBackend,
	"secret-id":      forOtherBackend,
	"separator":      forOtherBackend,
	"table":          forOtherBackend,
	"user-id":        forOtherBackend,
	"debug":          "has no effect: set log-level to debug",
	"verbose":        "has no effect: set log-level to info",
	"quiet":          "has no effect: set log-level to error",
	"filter":         "has no effect: name every snapshot with file",
	"secret-keyring": "has no effect: encrypted values are not decrypted; keep secrets in files that the proxy includes",
}

const forOtherBackend = "has no effect: it belongs to a backend other than etcd and file"

// meant are flags that people type for ours.
var meant = map[string]string{
	"v": "version", "V": "version",
	"dryrun": "noop", "dry-run": "noop", "n": "noop",
	"check-only": "check", "validate": "check",
	"once": "onetime", "one-time": "onetime",
	"config": "config-file", "conf-dir": "confdir", "config-dir": "confdir",
}
