// Command yardstick is the least that a program can do which keeps a file true to a leader
// key in etcd: it watches with clientv3 and, for a leader key, writes, syncs, renames and
// forks one /bin/sh. The benchmarks of pc4patroni measure against it in the same run.
//
//	yardstick NODE PREFIX SUFFIX DEST COMMAND
//
// It watches what lies below PREFIX, acts upon keys that end in SUFFIX, prints "ready" when
// the watch stands, and ends with its standard input.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: yardstick NODE PREFIX SUFFIX DEST COMMAND")
		os.Exit(2)
	}
	if err := follow(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Fprintln(os.Stderr, "yardstick:", err)
		os.Exit(1)
	}
}

func follow(node, prefix, suffix, dest, command string) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{node}, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	for resp := range client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify()) {
		if err := resp.Err(); err != nil {
			return err
		}
		if resp.Created {
			fmt.Println("ready")
		}
		for _, event := range resp.Events {
			if !strings.HasSuffix(string(event.Kv.Key), suffix) {
				continue
			}
			if err := write(dest+".new", event.Kv.Value); err != nil {
				return err
			}
			if err := os.Rename(dest+".new", dest); err != nil {
				return err
			}
			if err := exec.Command("/bin/sh", "-c", command).Run(); err != nil {
				return err
			}
		}
	}
	return nil
}

// write writes a file and syncs it, as a program must that wants it whole after a power cut.
func write(name string, data []byte) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Sync()
}
