package main

import (
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Where Istio's sidecar takes what was redirected to it.
const (
	outboundPort = 15001
	inboundPort  = 15006
)

// redirect sends an application's connections through its sidecar, as istio-init does: what it opens goes to the outbound
// listener, what arrives for one of the ports to the inbound one.
func redirect(pod netns.NsHandle, inbound ...uint16) error {
	rules, err := nftables.New(nftables.WithNetNSFd(int(pod)))
	if err != nil {
		return err
	}
	table := rules.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "mesh"})
	chain := func(name string, at *nftables.ChainHook) *nftables.Chain {
		return rules.AddChain(&nftables.Chain{
			Name: name, Table: table, Type: nftables.ChainTypeNAT, Hooknum: at, Priority: nftables.ChainPriorityNATDest,
		})
	}
	isTCP := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
	}
	to := func(port uint16) []expr.Any {
		return []expr.Any{
			&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
			&expr.Redir{RegisterProtoMin: 1, RegisterProtoMax: 1},
		}
	}
	rule := func(in *nftables.Chain, condition []expr.Any, port uint16) {
		whole := append(append(append([]expr.Any{}, isTCP...), condition...), to(port)...)
		rules.AddRule(&nftables.Rule{Table: table, Chain: in, Exprs: whole})
	}
	rule(chain("output", nftables.ChainHookOutput), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(fromApplication)},
	}, outboundPort)
	arriving := chain("prerouting", nftables.ChainHookPrerouting)
	for _, port := range inbound {
		rule(arriving, []expr.Any{
			// The destination port of TCP.
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
		}, inboundPort)
	}
	return rules.Flush()
}
