package patroni

import (
	"cmp"
	"slices"
)

// A SettingChange is a setting of PostgreSQL that takes effect at the next
// restart. The values are free text that can be printed.
type SettingChange struct {
	Name     string `json:"name"`
	OldValue string `json:"old_value"`
	NewValue string `json:"new_value"`
}

// settingChanges returns the reasons for a restart, sorted by name; what cannot
// be printed is left out (Patroni: postgresql/config.py get_param_diff).
func settingChanges(v value) []SettingChange {
	changes := []SettingChange{}
	for name, change := range v.fields() {
		fields := change.fields()
		c := SettingChange{name, fields["old_value"].form(), fields["new_value"].form()}
		if isPrintable(c.Name) && isPrintable(c.OldValue) && isPrintable(c.NewValue) {
			changes = append(changes, c)
		}
	}
	slices.SortFunc(changes, func(a, b SettingChange) int { return cmp.Compare(a.Name, b.Name) })
	return changes
}
