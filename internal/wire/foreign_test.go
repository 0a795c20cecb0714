//go:build go1.25

package wire

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

// foreignPeers are bytes that programs have sent, recorded from them; long ones are cut.
var foreignPeers = []struct {
	peer       string
	fromServer bool
	first      string
	what       string
}{
	// Servers, before or after they have read a ttrpc request.
	{"grpc-go", true, "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00", "HTTP/2 (gRPC) settings frame"},
	{"grpc-go with limits", true, unhex("000012040000000000000500004000000300000064000400100000000004080000000000000f0001"),
		"HTTP/2 (gRPC) settings frame"},
	{"grpc, C core", true, unhex("000018040000000000000400400000000500400000000600004000fe03000000010000040800000000" +
		"00003f0001"), "HTTP/2 (gRPC) settings frame"},
	{"golang.org/x/net/http2", true, unhex("00001e0400000000000005001000000003000000fa00060010014000010000100000040010" +
		"0000"), "HTTP/2 (gRPC) settings frame"},
	{"node's http2", true, "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "HTTP/2 (gRPC) settings frame"},
	{"node's http2, which then leaves", true, unhex("0000000400000000000000080700000000000000000000000002"),
		"HTTP/2 (gRPC) settings frame"},
	{"net/http", true, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nC", "HTTP/1.1 response"},
	{"net/http over TLS, to HTTP", true, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request", "HTTP response"},
	{"node's http", true, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "HTTP/1.1 response"},
	{"python's http.server", true, "<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n", "HTML"},
	{"TLS alert", true, "\x15\x03\x03\x00\x02\x02\x28", "TLS alert"},
	{"OpenSSH", true, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u6\r\n", "SSH banner"},
	{"aiosmtpd", true, "220 localhost Python SMTP 1.4.6\r\n", "SMTP or FTP banner"},
	{"short SMTP", true, "220 x\r\n", "SMTP or FTP banner"},
	{"postgres", true, "EFATAL:  unsupported frontend protocol 0.1: server supports 3.0 to 3.0\n\x00", "PostgreSQL error"},
	{"MySQL", true, "J\x00\x00\x00\n8.0.36\x00\x08\x00\x00\x00", "MySQL greeting"},
	{"Redis", true, "-ERR Protocol error: unauthenticated multibulk length\r\n", "Redis error"},
	{"a hypervisor's vsock proxy", true, "OK 1073741824\n", ""},

	// Clients.
	{"echo hello", false, "hello\n", ""},
	{"one byte", false, "h", ""},
	{"curl", false, "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n", "HTTP request"},
	{"a proxied request", false, "CONNECT x:443 HTTP/1.1\r\n", "HTTP request"},
	{"crypto/tls", false, "\x16\x03\x01\x05\xc6\x01\x00\x05\xc2\x03\x03\x8e\xb9\xe5S(D\xf5\x80\a\vLl\x83\x91", "TLS handshake"},
	{"openssl", false, "\x16\x03\x01\x01$\x01\x00\x01 \x03\x03b\xd7n\x88\xe9\xf9\xeas\xce\xfe", "TLS handshake"},
	{"grpc-go", false, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "HTTP/2 (gRPC) client preface"},
	{"ssh", false, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u6\r\n", "SSH banner"},
	{"dbus-send", false, "\x00AUTH EXTERNAL 30\r\n", "D-Bus authentication"},
	{"HAProxy", false, "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", "PROXY protocol header"},
	{"for a hypervisor's vsock proxy", false, "CONNECT 1024\n", ""},
	{"16 MiB", false, "\x01\x00\x00\x00\x00\x00\x00\x01\x01\x00", ""},
	{"an unknown type over the limit", false, "\x00\x40\x00\x01\x00\x00\x00\x01\x09\x00", ""},
}

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestForeignPeers(t *testing.T) {
	for _, s := range foreignPeers {
		what, foreign := Foreign([]byte(s.first), s.fromServer, 4<<20)
		if !foreign || what != s.what {
			t.Errorf("%s: got %q, %v; want %q", s.peer, what, foreign, s.what)
		}
	}
}

// peerFrame is a header and data; a length of its own is what the header says in place of the
// data's.
func peerFrame(length, id uint32, typ, flags byte, data string) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint32(b, id)
	return append(append(b, typ, flags), data...)
}

// Bytes that ttrpc peers send, or that come from who might be one.
func TestLegalPeersAreNotForeign(t *testing.T) {
	for name, first := range map[string][]byte{
		"nothing":                       nil,
		"a probe":                       make([]byte, 10),
		"a part of a probe":             make([]byte, 5),
		"Request":                       peerFrame(30, 1, 1, 0, "\n\ftest.Service\x12\x04echo\x1a\b\n\x06hello!"),
		"Request, 16 MiB - 1":           peerFrame(1<<24-1, 1, 1, 0, "\n\f"),
		"Response, empty":               peerFrame(0, 1, 2, 0, ""),
		"Response over the limit":       peerFrame(5<<20, 1, 2, 0, ""),
		"Data over the limit":           peerFrame(5<<20, 1, 3, 1, ""),
		"type 0":                        peerFrame(3, 1, 0, 0, "abc"),
		"type 0, an odd id, as long as": peerFrame(0x604, 1, 0, 0, "\x05\x00"),
		"type 0, even id":               peerFrame(3, 2, 0, 7, "abc"),
		"type 4":                        peerFrame(0x604, 0, 4, 0, "\x05\x00"),
		"type 0x40":                     peerFrame(4<<20, 0, 0x40, 0xff, ""),
		"type 0x43":                     peerFrame(8, 0, 0x43, 0, "12345678"),
		"type 255 on the last id":       peerFrame(3, 1<<32-1, 255, 255, "abc"),
		"psql, which may be a Request":  []byte("\x00\x00\x00\b\x04\xd2\x16/"),
	} {
		for _, fromServer := range []bool{true, false} {
			for n := range len(first) + 1 {
				if what, foreign := Foreign(first[:n], fromServer, 1000); foreign {
					t.Errorf("%s, %d bytes, from server %v: is foreign, %q", name, n, fromServer, what)
				}
			}
		}
	}
	if what, foreign := Foreign([]byte(foreignPeers[0].first), false, 4<<20); foreign {
		t.Errorf("a client never begins with SETTINGS, but it is foreign, %q", what)
	}
	if what, foreign := Foreign(peerFrame(5<<20, 1, 0x40, 0, ""), false, 6<<20); foreign {
		t.Errorf("an unknown type within a raised limit is foreign, %q", what)
	}
}

func TestForeignText(t *testing.T) {
	for _, c := range []struct {
		first, want string
		fromServer  bool
	}{
		{"hello\n", `the client does not speak ttrpc: it began with "hello\n"`, false},
		{"SSH-2.0-Go\r\n", `the server does not speak ttrpc: it began with "SSH-2.0-Go\r\n" (SSH banner)`, true},
		{"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain",
			`the server does not speak ttrpc: it began with "HTTP/1.1 400 Bad Request\r\nConten"... (HTTP/1.1 response)`, true},
		{"\x1b[2J\u202e\xff", `the client does not speak ttrpc: it began with "\x1b[2J\u202e\xff"`, false},
	} {
		what, _ := Foreign([]byte(c.first), c.fromServer, 4<<20)
		if got := ForeignText([]byte(c.first), what, c.fromServer); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// FuzzLegalFrameIsNotForeign makes a frame that keeps to the protocol, and looks at each beginning
// of it.
func FuzzLegalFrameIsNotForeign(f *testing.F) {
	f.Add(uint32(30), uint32(1), byte(1), byte(0), []byte("\n\ftest.Service"), true, 4<<20)
	f.Add(uint32(0), uint32(0), byte(0), byte(0), []byte("\x05\x00\x00@\x00"), true, 0)
	f.Add(uint32(0x604), uint32(0), byte(5), byte(0), []byte("\x05\x00\x00@\x00"), true, -1)
	f.Add(uint32(0x415554), uint32(0x48204558), byte(2), byte('E'), []byte("RNAL 30\r\n"), false, 1)
	f.Fuzz(func(t *testing.T, length, id uint32, typ, flags byte, data []byte, fromServer bool, maxData int) {
		length &= 1<<24 - 1
		switch typ {
		case 0: // nobody sends it but with what probes may have
			if fromServer {
				length = 0
			}
			fallthrough
		default: // a type of a later version has to do with what everybody accepts
			length %= DefaultMaxData + 1
		case 1, 2, 3:
		}
		first := append(peerFrame(length, id, typ, flags, ""), data[:min(len(data), int(length))]...)
		for n := range min(len(first), ForeignBytes) + 1 {
			if what, foreign := Foreign(first[:n], fromServer, maxData); foreign {
				t.Fatalf("%x is foreign, %q", first[:n], what)
			}
		}
	})
}

// FuzzForeign takes any bytes: no panic, a bounded printable text, and no foreign peer who
// becomes a legal one again.
func FuzzForeign(f *testing.F) {
	for _, s := range foreignPeers {
		f.Add([]byte(s.first), s.fromServer, 4<<20)
	}
	f.Fuzz(func(t *testing.T, first []byte, fromServer bool, maxData int) {
		wasForeign := false
		for n := range min(len(first), ForeignBytes) + 1 {
			what, foreign := Foreign(first[:n], fromServer, maxData)
			if !foreign && (wasForeign || what != "") {
				t.Fatalf("%x is not foreign, its beginning was; %q", first[:n], what)
			}
			wasForeign = foreign
			text := ForeignText(first[:n], what, fromServer)
			if len(text) > 300 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("%d bytes: %q", len(text), text)
			}
		}
	})
}
