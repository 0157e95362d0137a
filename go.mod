module multipeer

go 1.26.0

require (
	github.com/gofrs/flock v0.13.2
	github.com/libp2p/zeroconf/v2 v2.2.0
	github.com/quic-go/quic-go v0.65.0
	go.etcd.io/bbolt v1.5.0
	golang.org/x/net v0.62.0
	golang.org/x/sys v0.49.0
	golang.org/x/text v0.43.0
)

require (
	github.com/miekg/dns v1.1.73 // indirect
	golang.org/x/crypto v0.58.0 // indirect
)
