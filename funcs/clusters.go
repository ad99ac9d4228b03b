package funcs

type clusterCache struct{}

func (c *clusterCache) changed(string) {}
func (c *clusterCache) keysChanged()   {}
