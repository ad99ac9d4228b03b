// Package check judges a configuration before it runs. It renders every template
// against built-in clusters, so that a misspelt field is found before a failover
// finds it, looks whether each dest can be replaced, and points out what is allowed
// but rarely meant.
//
// It reads the file system, changes nothing and asks no etcd. What resource.Load
// rejects is not its subject.
package check
