// Package funcs gives templates their functions: confd's over the keys of a
// resource, the pure ones of sprig, and Patroni's clusters.
//
// Keys come in through a Store, which the owner of a resource keeps up to date
// with every change; what one execution of a template sees is an Env, and Map
// turns an Env into functions for text/template. The package knows nothing of
// backends, and nothing of files but whether one exists.
package funcs
