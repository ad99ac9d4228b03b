package faults

import (
	"testing"

	"pc4patroni/backends/etcd/etcdtest"

	"pc4patroni/internal/proctest"
)

// TestFaults puts the built program through everything that goes wrong in the life of a
// proxy host, with real etcd servers. Where a case does not disturb etcd itself it
// shares one, in a prefix of its own. What is asserted is what a user would notice: the
// file, what the proxy was told and how often, the log, and what is left behind.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	shared := etcdtest.Start(t)
	client := proctest.DialEtcd(t, shared.URL())

	type fault struct {
		name string
		test func(*testing.T, *host)
	}
	t.Run("shared etcd", func(t *testing.T) {
		for _, f := range []fault{
			{"leader change while idle", faultLeaderChange},
			{"leader key deleted, then back", faultLeaderDeleted},
			{"leader names a member that is not there", faultLeaderUnknown},
			{"20,000 keys", faultManyKeys},
			{"sibling prefixes", faultSiblings},
			{"wiped prefix", faultWiped},
			{"reload fails twice", faultReloadFails},
			{"killed between install and reload", faultKilledBeforeReload},
			{"check fails, then a good change", faultCheckFails},
			{"reload hangs beside another unit", faultReloadHangs},
			{"200 changes in a second", faultManyChanges},
			{"two files, one reload", faultSharedReload},
			{"bad template and bad TOML", faultBadResources},
			{"dest is a symbolic link", faultSymlink},
			{"dest is a bind mount", faultBindMount},
			{"dest overwritten by hand", faultOverwritten},
			{"directory read-only for a while", faultReadOnly},
			{"disk full at staging", faultDiskFull},
			{"disk full at the mark", faultNoRoomForMark},
			{"owner by name", faultOwner},
			{"SIGTERM during a reload", faultTermDuringReload},
			{"second signal", faultSecondSignal},
			{"SIGHUP with a new resource", faultHangupNew},
			{"SIGHUP with a removed resource", faultHangupRemoved},
			{"SIGHUP with broken resources", faultHangupBroken},
			{"SIGHUP with a changed template", faultHangupTemplate},
		} {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				f.test(t, newHost(t, client, shared.URL()))
			})
		}
	})
	t.Run("etcd of its own", func(t *testing.T) {
		for _, f := range []struct {
			name string
			test func(*testing.T)
		}{
			{"etcd up after the program", faultEtcdLate},
			{"etcd killed and restarted", faultEtcdKilled},
			{"etcd restarted", faultEtcdRestarted},
			{"etcd back empty", faultEtcdEmpty},
			{"etcd restored as another cluster", faultEtcdReplaced},
			{"change compacted away", faultCompacted},
			{"connection dead without a word", faultSilence},
			{"members lost one after another", faultMembersLost},
			{"member cut off from the others", faultMemberIsolated},
			{"auth token expired", faultTokenExpired},
			{"certificate rotated", faultCertificateRotated},
		} {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				f.test(t)
			})
		}
	})
}
