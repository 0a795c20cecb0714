package wire

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// ForeignBytes is how many of a connection's first bytes are enough for [Foreign] and
// [ForeignText]. More are not looked at.
const ForeignBytes = 64

const (
	quotedBytes  = 32  // more might be somebody's password
	settingsSize = 6   // of an HTTP/2 setting
	maxSettings  = 100 // in an HTTP/2 SETTINGS frame, as net/http and grpc bound them
)

// Foreign judges the bytes with which a peer has begun, and reports whether no ttrpc peer begins
// so. protocol names what the peer speaks; it is empty where that is unknown. fromServer says that
// the peer is the server; maxData is the receiver's limit for the data of a frame.
//
// One byte may be enough. With fewer than ForeignBytes a foreign peer may not be recognized yet;
// where it is, more bytes change nothing but the name. A caller who waits for a header of ten bytes
// waits for ever with some peers: a greeting may be shorter, and so is an HTTP/2 server's empty
// SETTINGS frame.
//
// No peer that keeps to the protocol is foreign, of this version or a later one: not for its stream
// id, its flags, nor a type that is unknown, unless the frame is also larger than anybody would
// accept.
func Foreign(first []byte, fromServer bool, maxData int) (protocol string, foreign bool) {
	first = first[:min(len(first), ForeignBytes)]
	if !isForeign(first, fromServer, maxData) {
		return "", false
	}
	return nameForeign(first), true
}

// ForeignText says of whom the first bytes are, for errors and logs; protocol is what Foreign has
// returned. The text has no unprintable bytes and a bounded length, whatever the peer has sent.
func ForeignText(first []byte, protocol string, fromServer bool) string {
	peer := "client"
	if fromServer {
		peer = "server"
	}
	text := "the " + peer + " does not speak ttrpc: it began with " + QuoteFirst(first)
	if protocol != "" {
		text += " (" + protocol + ")"
	}
	return text
}

// QuoteFirst returns the first bytes of a peer in quotes, in printable ASCII, followed by dots
// where they are too many.
func QuoteFirst(first []byte) string {
	if len(first) > quotedBytes {
		return strconv.QuoteToASCII(string(first[:quotedBytes])) + "..."
	}
	return strconv.QuoteToASCII(string(first))
}

// isForeign is the judgement itself. The names of protocols have no part in it.
func isForeign(first []byte, fromServer bool, maxData int) bool {
	if len(first) == 0 {
		return false
	}
	if first[0] != 0 { // the reserved byte of the length: 16 MiB or more, or somebody's text
		return true
	}
	if len(first) <= typeAt {
		return false
	}
	if fromServer && isSettings(first) {
		return true
	}
	// A small limit of the receiver's is unknown to the peer, so what every receiver accepts, unless
	// it has been told otherwise, is never foreign.
	length, typ := binary.BigEndian.Uint32(first[lengthAt:]), Type(first[typeAt])
	known := typ >= TypeRequest && typ <= TypeData
	return !known && int64(length) > int64(max(maxData, DefaultMaxData))
}

// isSettings reports whether bytes begin with the SETTINGS frame that an HTTP/2 server sends before
// it has read anything. Its nine bytes of header are length (3), type 4, flags 0 and stream 0 (4),
// so that in ttrpc's terms it is a frame of type 0, which nobody ever sends, on stream 0, with a
// length that ends in 4.
func isSettings(first []byte) bool {
	if first[3] != 4 || !bytes.Equal(first[4:typeAt+1], make([]byte, 5)) {
		return false
	}
	size := int(first[1])<<8 | int(first[2])
	return size%settingsSize == 0 && size <= maxSettings*settingsSize
}

// foreignPrefixes are how peers of the wrong kind begin. They are in order: the first match counts.
var foreignPrefixes = [...]struct{ prefix, name string }{
	{"PRI * HTTP/2", "HTTP/2 (gRPC) client preface"},
	{"HTTP/1.1 ", "HTTP/1.1 response"},
	{"HTTP/", "HTTP response"},
	{"GET ", httpRequest}, {"HEAD ", httpRequest}, {"POST ", httpRequest}, {"PUT ", httpRequest},
	{"PATCH ", httpRequest}, {"DELETE ", httpRequest}, {"OPTIONS ", httpRequest},
	{"<!DOCTYPE ", "HTML"}, {"<!doctype ", "HTML"}, {"<html", "HTML"},
	{"\x16\x03", "TLS handshake"},
	{"\x15\x03", "TLS alert"},
	{"SSH-", "SSH banner"},
	{"220 ", "SMTP or FTP banner"}, {"220-", "SMTP or FTP banner"},
	{"EFATAL: ", "PostgreSQL error"}, {"E\x00\x00", "PostgreSQL error"},
	{"-ERR ", "Redis error"}, {"-NOAUTH ", "Redis error"}, {"-DENIED ", "Redis error"},
	{"\x00AUTH ", "D-Bus authentication"}, {"AUTH EXTERNAL", "D-Bus authentication"},
	{"PROXY ", "PROXY protocol header"}, {"\r\n\r\n\x00\r\nQUIT\n", "PROXY protocol header"},
}

const httpRequest = "HTTP request"

// nameForeign names what a peer of the wrong kind speaks; it is empty where that is unknown.
func nameForeign(first []byte) string {
	if len(first) > typeAt && first[0] == 0 && isSettings(first) {
		return "HTTP/2 (gRPC) settings frame"
	}
	for _, p := range foreignPrefixes {
		if bytes.HasPrefix(first, []byte(p.prefix)) {
			return p.name
		}
	}
	switch {
	case isRequest(first):
		return httpRequest
	case isMySQL(first):
		return "MySQL greeting"
	}
	return ""
}

// isRequest knows a request of another method by the version in its first line. CONNECT is no
// evidence, for hypervisors' proxies of vsock begin so.
func isRequest(first []byte) bool {
	line, _, _ := bytes.Cut(first, []byte("\r\n"))
	return bytes.Contains(line, []byte(" HTTP/1."))
}

// isMySQL knows the server's greeting: length (3, little endian), sequence number 0, protocol 10.
func isMySQL(first []byte) bool {
	return len(first) > 5 && first[1] == 0 && first[2] == 0 && first[3] == 0 && first[4] == 10 &&
		first[5] >= '0' && first[5] <= '9'
}
