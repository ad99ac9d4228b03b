package patroni

// A Promotion is one line of a cluster's history: the end of a timeline.
type Promotion struct {
	// Timeline is the one that ended, at the position LSN in bytes.
	Timeline int64 `json:"timeline"`
	LSN      int64 `json:"lsn"`
	// Reason is PostgreSQL's, such as "no recovery target specified": free text
	// that can be printed.
	Reason string `json:"reason"`
	// Time is in ISO 8601, or empty.
	Time string `json:"time"`
	// Leader is the new one; empty before Patroni 2.1.1.
	Leader string `json:"leader"`
}

// setHistory sets History and Timeline (Patroni: dcs/__init__.py
// TimelineHistory.from_node and Cluster.timeline).
func (c *Cluster) setHistory(text string) {
	lines, ok := value(text).items()
	if !ok {
		return
	}
	if len(lines) == 0 {
		c.Timeline = 1
		return
	}
	for i, line := range lines {
		fields, _ := line.items()
		if len(fields) == 0 {
			continue
		}
		timeline, ok := fields[0].integer()
		if !ok || timeline < 1 {
			continue
		}
		if i == len(lines)-1 {
			c.Timeline = timeline + 1
		}
		c.History = append(c.History, promotion(timeline, fields[1:]))
	}
}

func promotion(timeline int64, fields []value) Promotion {
	p := Promotion{Timeline: timeline}
	for i, v := range fields {
		text, _ := v.text()
		switch i {
		case 0:
			p.LSN = v.position()
		case 1:
			if isPrintable(text) {
				p.Reason = text
			}
		case 2:
			p.Time = safeToken(text, "+-:. ")
		case 3:
			p.Leader = safeName(text)
		}
	}
	return p
}
