package install

import (
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Warning says that a file is kept up to date without something that this
// user may not give it. Two equal warnings are the same warning.
type Warning struct {
	Target  string // the file
	Problem string // who may not do what
	Remedy  string // what to do about it
}

func (w Warning) String() string { return fmt.Sprintf("%s: %s: %s", w.Target, w.Problem, w.Remedy) }

func ownerWarning(target string, uid int) Warning {
	return Warning{target,
		fmt.Sprintf("user %s may not give it to user %s, and keeps it", userName(os.Geteuid()), userName(uid)),
		fmt.Sprintf("run as user %s, or name another owner", userName(uid))}
}

func groupWarning(target string, gid int) Warning {
	me, group := userName(os.Geteuid()), groupName(gid)
	remedy := "run as root, or name another group"
	if gid != 0 { // nobody should become a member of root's group for this
		remedy = fmt.Sprintf("usermod -aG %s %s and restart, or name another group", group, me)
	}
	return Warning{target, fmt.Sprintf("user %s is no member of group %s and may not give it to that group", me, group), remedy}
}

func mountWarning(target string) Warning {
	return Warning{target, "it is a mount point, and is written in place: a reader may see half of it", "mount its directory instead"}
}

// maySetOwner and maySetGroup tell whether this process may give files of its
// own to uid or gid.
func maySetOwner(uid int) bool { return uid == os.Geteuid() || hasCapability(unix.CAP_CHOWN) }

func maySetGroup(gid int) bool {
	if gid == os.Getegid() || hasCapability(unix.CAP_CHOWN) {
		return true
	}
	groups, _ := os.Getgroups()
	return slices.Contains(groups, gid)
}

func hasCapability(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.Geteuid() == 0
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}

// userName returns the name of a user, or the number where it has none.
func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

func groupName(gid int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		return g.Name
	}
	return strconv.Itoa(gid)
}
