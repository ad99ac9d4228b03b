package funcs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// lookupTimeout is how long a template waits for one answer of the DNS.
const lookupTimeout = 5 * time.Second

// A Resolver answers lookupIP and lookupSRV; *net.Resolver is one. It must
// return once ctx ends.
type Resolver interface {
	LookupIP(ctx context.Context, network, host string) ([]net.IP, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

var _ Resolver = (*net.Resolver)(nil)

// lookupIP returns the addresses of host, sorted as text. A name that does not
// exist has none, as in confd. Unlike there, a DNS server that does not answer
// is an error, so that its outage does not empty a proxy.
func (e *Env) lookupIP(host string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	ips, err := cmp.Or[Resolver](e.Resolver, net.DefaultResolver).LookupIP(ctx, "ip", host)
	if err != nil {
		return nil, lookupError(host, err)
	}
	addresses := make([]string, len(ips))
	for i, ip := range ips {
		addresses[i] = ip.String()
	}
	slices.Sort(addresses)
	return addresses, nil
}

// lookupFamily is lookupIP for the addresses that contain mark: "." is in
// every IPv4 address, ":" in every IPv6 address.
func (e *Env) lookupFamily(host, mark string) ([]string, error) {
	addresses, err := e.lookupIP(host)
	return slices.DeleteFunc(addresses, func(address string) bool {
		return !strings.Contains(address, mark)
	}), err
}

// lookupSRV returns the records of a service in confd's order, by target, port,
// priority and weight run together as text: the resolver shuffles those of
// equal priority, and each render would differ.
func (e *Env) lookupSRV(service, proto, name string) ([]*net.SRV, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	_, records, err := cmp.Or[Resolver](e.Resolver, net.DefaultResolver).LookupSRV(ctx, service, proto, name)
	if err != nil {
		return []*net.SRV{}, lookupError(name, err)
	}
	slices.SortFunc(records, func(a, b *net.SRV) int {
		return strings.Compare(srvText(a), srvText(b))
	})
	return records, nil
}

// lookupIface returns the first address of the family of an interface of this
// host, leaving out those that are valid on its link alone. Unlike in the fork of
// confd that has it, none is an error: no proxy is told to listen everywhere.
func lookupIface(name, family string, isOfFamily func(netip.Addr) bool) (string, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return "", fmt.Errorf("look up interface %q: %w", name, err)
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return "", fmt.Errorf("look up interface %q: %w", name, err)
	}
	for _, addr := range addrs {
		prefix, err := netip.ParsePrefix(addr.String())
		if err == nil && isOfFamily(prefix.Addr()) && !prefix.Addr().IsLinkLocalUnicast() {
			return prefix.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("look up interface %q: it has no %s address", name, family)
}

func srvText(r *net.SRV) string {
	return fmt.Sprintf("%s%d%d%d", r.Target, r.Port, r.Priority, r.Weight)
}

// lookupError returns nil if the answer was that there is no such name.
func lookupError(name string, err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return nil
	}
	if errors.As(err, &dns) && dns.IsTimeout || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("look up %q: no answer from the DNS within %s", name, lookupTimeout)
	}
	return fmt.Errorf("look up %q: %w", name, err)
}
