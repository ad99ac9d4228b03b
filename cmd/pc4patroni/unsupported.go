package main

// confdOnly are options of confd that this program has no use for, and what a
// user who moves from confd is to do about each. Dashes or underscores.
var confdOnly = map[string]string{
	"app-id":         forOtherBackend,
	"auth-token":     forOtherBackend,
	"auth-type":      forOtherBackend,
	"path":           forOtherBackend,
	"role-id":        forOtherBackend,
	"secret-id":      forOtherBackend,
	"separator":      forOtherBackend,
	"table":          forOtherBackend,
	"user-id":        forOtherBackend,
	"filter":         "is not supported: name every snapshot with -file",
	"secret-keyring": "is not supported: crypt's encrypted values are not read; keep secrets in files that the proxy includes",
}

const forOtherBackend = "belongs to a backend of confd that is not supported (only etcd and file are); remove it"
