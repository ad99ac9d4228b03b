package patroni

import "strings"

// setConfig sets what the dynamic configuration says, and tells whether there
// is one (Patroni: global_config.py GlobalConfig).
func (c *Cluster) setConfig(text string) (ok bool) {
	c.MaxLagOnFailover = 1 << 20
	c.configText = text
	config, ok := object(text)
	if !ok {
		return false
	}
	c.Paused = config["pause"].isTrue()
	c.Failsafe = config["failsafe_mode"].isTrue()
	c.SyncMode = syncMode(config["synchronous_mode"])
	c.StandbyCluster = isStandbyCluster(config["standby_cluster"])
	if n, ok := config["maximum_lag_on_failover"].integer(); ok {
		c.MaxLagOnFailover = Bytes(n)
	}
	if c.StandbyCluster {
		c.SyncMode = SyncOff
	}
	return true
}

func syncMode(v value) string {
	if v.isTrue() {
		return SyncOn
	}
	if mode, _ := v.text(); strings.EqualFold(mode, SyncQuorum) {
		return SyncQuorum
	}
	return SyncOff
}

func isStandbyCluster(v value) bool {
	fields := v.fields()
	return fields["host"].truthy() || fields["port"].truthy() || fields["restore_command"].truthy()
}
