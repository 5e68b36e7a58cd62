package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

// portforward joins listening sockets that were opened outside the node's network to addresses inside it: the only way
// in, and no way out. Each argument is DESCRIPTOR=HOST:PORT. One connection outside is one inside, so kube-proxy balances
// them as it would without this hop.
func portforward(routes []string) {
	for _, route := range routes {
		descriptor, target, found := strings.Cut(route, "=")
		number, err := strconv.Atoi(descriptor)
		if !found || err != nil {
			fail("route %q is not DESCRIPTOR=HOST:PORT", route)
		}
		listener, err := net.FileListener(os.NewFile(uintptr(number), route))
		if err != nil {
			fail("descriptor of %q is no listening socket: %v", route, err)
		}
		go accept(listener, target)
	}
	select {}
}

func accept(listener net.Listener, target string) {
	for {
		outside, err := listener.Accept()
		if err != nil {
			fail("cannot accept for %s: %v", target, err)
		}
		go join(outside.(*net.TCPConn), target)
	}
}

func join(outside *net.TCPConn, target string) {
	defer outside.Close()
	connection, err := net.Dial("tcp", target)
	if err != nil {
		outside.SetLinger(0) // the caller sees a reset, as it would from a closed port, not an empty answer
		return
	}
	inside := connection.(*net.TCPConn)
	defer inside.Close()
	go pipe(outside, inside)
	pipe(inside, outside)
}

// pipe passes on what was sent, then its end; a reset on one side becomes a reset on the other.
func pipe(from, to *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		from.SetLinger(0)
		to.SetLinger(0)
		from.Close()
		to.Close()
		return
	}
	to.CloseWrite()
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "portforward: "+format+"\n", arguments...)
	os.Exit(1)
}
