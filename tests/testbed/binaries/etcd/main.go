// The etcd server, built from its own module: upstream ships no package main that `go build` can name by version.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
