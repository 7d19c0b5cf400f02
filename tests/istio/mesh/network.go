package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Where the parts outside the pods listen. All addresses of the node and of its pods are in one network.
const (
	nodeIP      = "10.77.0.1" // DNS and Kubernetes' API
	istiodIP    = "10.77.0.2"
	registryIP  = "10.77.0.3"
	openaiIP    = "10.77.0.10"
	anthropicIP = "10.77.0.11"
	podNetwork  = "10.77.1."
	// Nobody has these: sidecars know what they mean.
	serviceNetwork = "10.78.0."
	prefix         = "/16"
)

// fromApplication marks the packets of an application, so that they are redirected and those of its proxy are not. In a
// cluster the user's id tells them apart.
const fromApplication = 0x77

// network is the node's side: a bridge to which every pod has a cable.
type network struct {
	bridge netlink.Link
	pods   int
}

func newNetwork() (*network, error) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "mesh0"
	// Its own, or it would take that of the lowest cable whenever one is added, and pods would send to an address that is gone
	// for as long as their neighbour tables remember it.
	attributes.HardwareAddr = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}
	bridge := &netlink.Bridge{LinkAttrs: attributes}
	if err := netlink.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("add a bridge: %w", err)
	}
	for _, ip := range []string{nodeIP, istiodIP, registryIP, openaiIP, anthropicIP} {
		address, err := netlink.ParseAddr(ip + prefix)
		if err != nil {
			return nil, err
		}
		if err := netlink.AddrAdd(bridge, address); err != nil {
			return nil, fmt.Errorf("add %s: %w", ip, err)
		}
	}
	for _, link := range []netlink.Link{lo, bridge} {
		if err := netlink.LinkSetUp(link); err != nil {
			return nil, err
		}
	}
	return &network{bridge: bridge}, nil
}

// attach gives a pod's namespace an interface, and returns its address.
func (n *network) attach(pod netns.NsHandle) (string, error) {
	n.pods++
	ip := fmt.Sprint(podNetwork, n.pods)
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MasterIndex = fmt.Sprint("pod", n.pods), n.bridge.Attrs().Index
	cable := &netlink.Veth{LinkAttrs: attributes, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(pod))}
	if err := netlink.LinkAdd(cable); err != nil {
		return "", fmt.Errorf("add a pod's interface: %w", err)
	}
	if err := netlink.LinkSetUp(cable); err != nil {
		return "", err
	}
	inside, err := netlink.NewHandleAt(pod)
	if err != nil {
		return "", err
	}
	defer inside.Close()
	for _, name := range []string{"lo", "eth0"} {
		link, err := inside.LinkByName(name)
		if err != nil {
			return "", err
		}
		if name == "eth0" {
			address, err := netlink.ParseAddr(ip + prefix)
			if err != nil {
				return "", err
			}
			if err := inside.AddrAdd(link, address); err != nil {
				return "", err
			}
		}
		if err := inside.LinkSetUp(link); err != nil {
			return "", err
		}
	}
	gateway := &netlink.Route{Gw: net.ParseIP(nodeIP)}
	return ip, inside.RouteAdd(gateway)
}

// within runs a function on a thread that is in a pod's network. Sockets that it makes stay there.
func within(pod netns.NsHandle, make func() error) error {
	// If the thread cannot come back, it ends with this goroutine, because it stays locked.
	runtime.LockOSThread()
	here, err := netns.Get()
	if err != nil {
		return err
	}
	defer here.Close()
	if err := netns.Set(pod); err != nil {
		return fmt.Errorf("enter the pod: %w", err)
	}
	failed := make()
	if err := netns.Set(here); err != nil {
		return fmt.Errorf("leave the pod: %w", err)
	}
	runtime.UnlockOSThread()
	return failed
}

// listen listens within a pod.
func listen(pod netns.NsHandle, address string) (listener net.Listener, err error) {
	err = within(pod, func() error {
		listener, err = net.Listen("tcp4", address)
		return err
	})
	return listener, err
}

// dialer connects from within a pod: as its application, through the sidecar, or past it.
func dialer(pod netns.NsHandle, asApplication bool) func(context.Context, string, string) (net.Conn, error) {
	mark := func(_, _ string, socket syscall.RawConn) error {
		if !asApplication {
			return nil
		}
		var refused error
		err := socket.Control(func(fd uintptr) {
			refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, fromApplication)
		})
		return errors.Join(err, refused)
	}
	return func(ctx context.Context, protocol, address string) (connection net.Conn, err error) {
		d := net.Dialer{Control: mark}
		err = within(pod, func() error {
			connection, err = d.DialContext(ctx, protocol, resolve(address))
			return err
		})
		return connection, err
	}
}

// resolve does what the pod's resolver would: names are those that the test's DNS serves.
func resolve(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip, ok := lookUp(strings.TrimSuffix(host, ".")); ok {
		return net.JoinHostPort(ip, port)
	}
	return address
}
