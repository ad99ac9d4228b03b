package config

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Digest is of the files of a configuration: the configuration file, the resource
// files and the templates.
type Digest [sha256.Size]byte

// ContentDigest returns the digest of the contents of all files. What cannot be
// read is as if it were not there.
func (s *Settings) ContentDigest() Digest {
	return s.digest(func(h hash.Hash, path string, _ fs.FileInfo) {
		if data, err := os.ReadFile(path); err == nil {
			fmt.Fprintf(h, "%q %x ", path, sha256.Sum256(data))
		}
	})
}

// StatDigest returns the digest of the sizes and times of all files. It reads none of
// them, and it changes where ContentDigest does, and where a file is touched.
func (s *Settings) StatDigest() Digest {
	return s.digest(func(h hash.Hash, path string, info fs.FileInfo) {
		fmt.Fprintf(h, "%q %d %d ", path, info.Size(), info.ModTime().UnixNano())
	})
}

func (s *Settings) digest(add func(h hash.Hash, path string, info fs.FileInfo)) (sum Digest) {
	h := sha256.New()
	visit := func(path string) {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() { // reading a pipe would wait
			add(h, path, info)
		}
	}
	visit(s.ConfigFile)
	for _, dir := range []string{"conf.d", "templates"} {
		root := filepath.Join(s.ConfDir, dir) + "/" // the folder may be a link
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
			case path != root && strings.HasPrefix(entry.Name(), "."): // an editor's, as what ends with a tilde
				if entry.IsDir() {
					return fs.SkipDir
				}
			case !entry.IsDir() && !strings.HasSuffix(path, "~"):
				visit(path)
			}
			return nil
		})
	}
	h.Sum(sum[:0])
	return sum
}
