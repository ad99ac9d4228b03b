// Package funcs gives templates their functions: confd's over the keys of a
// resource, the pure ones of sprig, and Patroni's clusters.
//
// Keys come in through a Store; what one execution of a template sees is an Env,
// and Map turns an Env into functions for text/template. The package knows
// nothing of backends, and nothing of files but whether one exists.
package funcs

import (
	"maps"
	"text/template"
	"time"
)

// Env is what one execution of a template sees. The functions of Map read it
// when they are called: the owner of a parsed template fills the Env before
// each execution. An Env belongs to one goroutine at a time.
type Env struct {
	// Store holds the keys. It must be set.
	Store *Store
	// Prefix is what stands before every key of the store in the backend.
	// Clusters take their names from it and errors mention it.
	Prefix string
	// Now is the clock of datetime; nil is time.Now.
	Now func() time.Time
	// Getenv is where getenv looks; with nil every variable is empty.
	Getenv func(name string) string
	// Resolver answers lookupIP and its kin; nil is the system's.
	Resolver Resolver

	// UsedTime is set to true when the template calls datetime: what it renders
	// may then differ from the file although nothing has changed.
	UsedTime bool
}

// Map returns the functions that a template may call, apart from include,
// which belongs to whoever finds templates. They replace text/template's own
// comparisons and printf where those are strict about kinds of numbers.
func Map(env *Env) template.FuncMap {
	functions := make(template.FuncMap, 384)
	maps.Copy(functions, pureSprig())
	maps.Copy(functions, numberFuncs)
	maps.Copy(functions, env.confdFuncs())
	maps.Copy(functions, env.patroniFuncs())
	return functions
}

var numberFuncs = template.FuncMap{
	"eq":     equal,
	"ne":     notEqual,
	"lt":     ordering(func(order int) bool { return order < 0 }),
	"le":     ordering(func(order int) bool { return order <= 0 }),
	"gt":     ordering(func(order int) bool { return order > 0 }),
	"ge":     ordering(func(order int) bool { return order >= 0 }),
	"printf": format,
}
