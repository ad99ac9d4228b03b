package resource

import (
	"errors"
	"fmt"
	"maps"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"pc4patroni/internal/tomlfile"
	"pc4patroni/resource/install"
)

// file is the schema of a resource file.
type file struct {
	Template declaration    `toml:"template"`
	Backend  map[string]any `toml:"backend"`
}

// declaration is the [template] table, decoded over its defaults.
type declaration struct {
	Prefix            string        `toml:"prefix"`
	Keys              []string      `toml:"keys"`
	Src               string        `toml:"src"`
	Dest              string        `toml:"dest"`
	Owner             any           `toml:"owner"`
	Group             any           `toml:"group"`
	UID               *int64        `toml:"uid"`
	GID               *int64        `toml:"gid"`
	Mode              any           `toml:"mode"`
	CheckCmd          string        `toml:"check_cmd"`
	ReloadCmd         string        `toml:"reload_cmd"`
	CheckCmdTimeout   time.Duration `toml:"check_cmd_timeout"`
	ReloadCmdTimeout  time.Duration `toml:"reload_cmd_timeout"`
	MinReloadInterval time.Duration `toml:"min_reload_interval"`
	AllowEmpty        bool          `toml:"allow_empty"`
	CreateDestDirs    bool          `toml:"create_dest_dirs"`
	Backup            bool          `toml:"backup"`
	LeftDelimiter     string        `toml:"left_delimiter"`
	RightDelimiter    string        `toml:"right_delimiter"`

	// Keys of abtreece/confd; see unsupported.
	OutputFormat  any `toml:"output_format"`
	Debounce      any `toml:"debounce"`
	BatchInterval any `toml:"batch_interval"`
	FailureMode   any `toml:"failure_mode"`
}

// fileReader turns a declaration into a Resource and collects the errors in it.
type fileReader struct {
	file *tomlfile.File
	decl declaration
	opts *Options
	errs []error
}

func (r *fileReader) fail(key, format string, args ...any) {
	r.errs = append(r.errs, r.file.Errorf([]string{"template", key}, format, args...))
}

func (r *fileReader) failIf(wrong bool, key, format string) {
	if wrong {
		r.fail(key, "key %q "+format, key)
	}
}

// read parses and validates the resource file name, whose content is data. It
// does not read the template.
func read(name string, data []byte, opts *Options) (*Resource, error) {
	f := file{Template: declaration{
		CheckCmdTimeout:  30 * time.Second,
		ReloadCmdTimeout: 60 * time.Second,
		LeftDelimiter:    "{{",
		RightDelimiter:   "}}",
	}}
	doc, err := tomlfile.Decode(name, data, &f)
	if !doc.IsDefined("template") {
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s: there is no [template] table: a resource file starts with one", name)
	}
	r := &fileReader{file: doc, decl: f.Template, opts: opts, errs: []error{err}}
	d := &r.decl
	res := &Resource{
		Name:              resourceName(opts, name),
		File:              name,
		Src:               d.Src,
		Dest:              r.dest(),
		CheckCmd:          d.CheckCmd,
		CheckTimeout:      d.CheckCmdTimeout,
		ReloadTimeout:     d.ReloadCmdTimeout,
		MinReloadInterval: d.MinReloadInterval,
		AllowEmpty:        d.AllowEmpty,
		CreateDirs:        d.CreateDestDirs || opts.DestDir != "",
		Backup:            d.Backup,
		left:              d.LeftDelimiter,
		right:             d.RightDelimiter,
		doc:               doc,
	}
	const unlimited = "must be above zero: without a limit a command that hangs blocks its unit forever"
	r.failIf(d.CheckCmdTimeout <= 0, "check_cmd_timeout", unlimited)
	r.failIf(d.ReloadCmdTimeout <= 0, "reload_cmd_timeout", unlimited)
	res.Mode = r.mode()
	r.failIf(d.LeftDelimiter == "", "left_delimiter", "is empty: remove it to use {{")
	r.failIf(d.RightDelimiter == "", "right_delimiter", "is empty: remove it to use }}")
	if r.missing("src") {
		r.fail("src", "key %q is missing: name the template below %s", "src", opts.templateDir())
	}
	r.failIf(d.MinReloadInterval < 0, "min_reload_interval", "must not be negative")
	res.Prefix, res.Keys, res.Paths = r.keys()
	res.UID = r.id("owner", d.Owner, "uid", d.UID, lookupUser)
	res.GID = r.id("group", d.Group, "gid", d.GID, lookupGroup)
	for _, key := range slices.Sorted(maps.Keys(unsupported)) {
		if r.file.IsDefined("template", key) {
			r.fail(key, "key %q of abtreece/confd is not supported: %s", key, unsupported[key])
		}
	}
	for _, key := range []string{"owner", "group"} {
		if r.file.IsDefined("template", key) {
			res.byName = append(res.byName, key)
		}
	}
	res.ReloadCmd = expand(d.ReloadCmd, res.Dest, res.Dest)
	res.Backend = r.backend(f.Backend)
	return res, errors.Join(r.errs...)
}

// missing tells whether a key is absent or empty. One whose value has the wrong
// type is neither: it has been reported already.
func (r *fileReader) missing(key string) bool {
	return !r.file.IsDefined("template", key) || r.file.Value("template", key) == ""
}

func (r *fileReader) dest() string {
	dest := r.decl.Dest
	switch {
	case r.missing("dest"):
		r.fail("dest", "key %q is missing: name the file to write", "dest")
	case dest == "":
	case !filepath.IsAbs(dest):
		r.fail("dest", "dest %q is not an absolute path", dest)
	case strings.HasSuffix(dest, "/"):
		r.fail("dest", "dest %q names a directory: name the file in it", dest)
	}
	return filepath.Join(r.opts.DestDir, filepath.Join("/", dest))
}

func (r *fileReader) mode() int {
	switch text := r.decl.Mode.(type) {
	case nil:
	case string:
		mode, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
		if err == nil && mode <= 0o7777 {
			return int(mode)
		}
		if text != "" { // empty is as in confd
			r.fail("mode", `mode %q is not octal: write "0640", for example`, text)
		}
	default:
		r.fail("mode", `mode must be a string of octal digits, for example mode = "0640"`)
	}
	return install.Keep
}

// id returns the number that name or number stands for.
func (r *fileReader) id(nameKey string, name any, numberKey string, number *int64, lookup func(string) (string, error)) int {
	id := install.Keep
	if number != nil {
		if *number < 0 || *number > maxID {
			r.fail(numberKey, "%s %d is out of range", numberKey, *number)
		}
		id = int(*number)
	}
	switch {
	case r.opts.DestDir != "":
		// As with make's DESTDIR, somebody else installs what is built below
		// it, perhaps where these names do not exist.
		return install.Keep
	case name == nil:
		return id
	}
	text := fmt.Sprint(name)
	named, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		found, lookupErr := lookup(text)
		if lookupErr != nil {
			r.fail(nameKey, "%s %q: %w", nameKey, text, lookupErr)
			return install.Keep
		}
		named, err = strconv.ParseUint(found, 10, 32)
	}
	if err != nil || named > maxID {
		r.fail(nameKey, "%s %q is out of range", nameKey, text)
		return install.Keep
	}
	if id != install.Keep && id != int(named) {
		r.fail(nameKey, "%s %q is number %d, but %s says %d: set only one of the two", nameKey, text, named, numberKey, id)
	}
	return int(named)
}

// maxID is the largest user or group number; the one above it means "no change" to chown(2).
const maxID = 1<<32 - 2

func lookupUser(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", errors.New("there is no such user on this host")
	}
	return u.Uid, nil
}

func lookupGroup(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", errors.New("there is no such group on this host")
	}
	return g.Gid, nil
}

func (r *fileReader) backend(table map[string]any) string {
	if r.opts.Backend == nil {
		if len(table) > 0 {
			r.errs = append(r.errs, r.file.Errorf([]string{"backend"}, "a [backend] table cannot be used here"))
		}
		return ""
	}
	key, err := r.opts.Backend(table, func(key string, err error) error {
		return r.file.Errorf([]string{"backend", key}, "%w", err)
	})
	if err != nil {
		r.errs = append(r.errs, err)
	}
	return key
}
