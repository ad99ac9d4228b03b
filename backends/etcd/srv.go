package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// srvName is a name to ask DNS for and the scheme of what it answers.
type srvName struct{ name, scheme string }

// srvNames returns the names to ask for, in order. See Config.SRVDomain.
func (c Config) srvNames() []srvName {
	if c.SRVRecord != "" {
		if c.Scheme == "" && strings.HasPrefix(c.SRVRecord, "_etcd-client-ssl.") {
			return []srvName{{c.SRVRecord, "https"}}
		}
		return []srvName{{c.SRVRecord, c.defaultScheme()}}
	}
	domain := strings.Trim(c.SRVDomain, ".") + "."
	var names []srvName
	if c.Scheme != "http" {
		names = append(names, srvName{"_etcd-client-ssl._tcp." + domain, "https"})
	}
	if c.defaultScheme() != "https" {
		names = append(names, srvName{"_etcd-client._tcp." + domain, "http"})
	}
	for _, service := range []string{"_etcd", "_etcdv3"} {
		names = append(names, srvName{service + "._tcp." + domain, c.defaultScheme()})
	}
	return names
}

// endpoints returns the URLs to connect to, from DNS where that is asked for.
func (c Config) endpoints(ctx context.Context) ([]string, error) {
	if !c.usesSRV() {
		return c.nodes()
	}
	lookup := c.LookupSRV
	if lookup == nil {
		lookup = net.DefaultResolver.LookupSRV
	}
	var asked []string
	for _, n := range c.srvNames() {
		asked = append(asked, n.name)
		_, records, err := lookup(ctx, "", "", n.name)
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			continue
		}
		if err != nil {
			// The next name is asked for only if this one does not exist:
			// else trouble with DNS could lead from https to http.
			return nil, fmt.Errorf("look up SRV record %s: %w", n.name, err)
		}
		var urls []string
		for _, r := range records {
			host := strings.TrimSuffix(r.Target, ".")
			if host == "" {
				// A target of "." says that there is no such service here.
				continue
			}
			urls = append(urls, n.scheme+"://"+net.JoinHostPort(host, strconv.Itoa(int(r.Port))))
		}
		if len(urls) > 0 {
			return urls, nil
		}
	}
	return nil, fmt.Errorf("look up SRV records: none found: asked for %s", strings.Join(asked, ", "))
}
