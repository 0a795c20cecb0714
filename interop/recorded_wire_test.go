package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// frame is one of the protocol.
type frame struct {
	id         uint32
	typ, flags byte
	data       []byte
}

// frames takes bytes apart; a frame that was cut at the end is left out.
func frames(b []byte) (all []frame) {
	for len(b) >= 10 {
		n := int(binary.BigEndian.Uint32(b)) + 10
		if len(b) < n {
			break
		}
		all = append(all, frame{binary.BigEndian.Uint32(b[4:]), b[8], b[9], b[10:n]})
		b = b[n:]
	}
	return all
}

const (
	typeRequest, typeResponse, typeData = 1, 2, 3
	flagNoData                          = 4
	flagExtensions                      = 0x80
)

// converse sorts the frames of a connection by call. It fails where there is one that a release
// does not know, or the flag elsewhere than in the first frame of a server of ours.
func converse(up, down []byte, ours bool) (conversation, error) {
	c := conversation{up: make(map[string][]string), down: make(map[string][]string)}
	names, counts := make(map[uint32]string), make(map[string]int)
	for i, f := range frames(up) {
		if f.typ != typeRequest && f.typ != typeData || f.flags > 7 {
			return c, fmt.Errorf("frame %d to the server has type %d, flags %d", i, f.typ, f.flags)
		}
		text := f.text()
		if f.typ == typeRequest {
			r, err := parseRequest(f.data)
			if err != nil {
				return c, err
			}
			method := r.service + "/" + r.method
			names[f.id] = fmt.Sprint(method, "#", counts[method])
			counts[method]++
			if len(r.payload) == 0 && f.flags == 2 {
				f.flags |= flagNoData
			}
			text = fmt.Sprintf("Request %d %s", f.flags, r)
		}
		c.up[names[f.id]] = append(c.up[names[f.id]], text)
	}
	for i, f := range frames(down) {
		if i == 0 && ours {
			if f.flags&flagExtensions == 0 {
				return c, fmt.Errorf("the first frame of our server has no flag")
			}
			f.flags &^= flagExtensions
		}
		if f.typ != typeResponse && f.typ != typeData || f.flags > 7 {
			return c, fmt.Errorf("frame %d to the client has type %d, flags %d", i, f.typ, f.flags)
		}
		c.down[names[f.id]] = append(c.down[names[f.id]], f.text())
	}
	return c, nil
}

func (f frame) text() string {
	data := f.data
	if f.typ == typeResponse {
		data = inner(data)
	}
	return fmt.Sprintf("%d %d %x", f.typ, f.flags, shorten(sortEntries(data)))
}

// inner has the message within a Response sorted.
func inner(b []byte) (all []byte) {
	for _, f := range fields(b) {
		if number, _, n := protowire.ConsumeTag(f); number == 2 {
			value, _ := protowire.ConsumeBytes(f[n:])
			f = protowire.AppendBytes(bytes.Clone(f[:n]), sortEntries(value))
		}
		all = append(all, f...)
	}
	return all
}

// labels is the number of an Item's map.
const labels = 5

// sortEntries sorts the entries of an Item's map, which follow each other.
func sortEntries(b []byte) []byte {
	all := fields(b)
	isEntry := func(f []byte) bool { number, _, _ := protowire.ConsumeTag(f); return number == labels }
	if first := slices.IndexFunc(all, isEntry); first >= 0 {
		n := first
		for n < len(all) && isEntry(all[n]) {
			n++
		}
		slices.SortFunc(all[first:n], bytes.Compare)
	}
	return bytes.Join(all, nil)
}

// fields takes a message apart; what is none stays in one piece.
func fields(b []byte) (all [][]byte) {
	for rest := b; len(rest) > 0; {
		_, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return [][]byte{b}
		}
		all, rest = append(all, rest[:n]), rest[n:]
	}
	return all
}

// shorten keeps failures readable: of long data there is the begin, the length and a checksum.
func shorten(b []byte) []byte {
	if len(b) < 200 {
		return b
	}
	return fmt.Appendf(nil, "%s ... %d bytes, %x", b[:50], len(b), sha256.Sum256(b))
}

// request is what a Request says.
type request struct {
	service, method string
	payload         []byte
	limited         bool     // there is a deadline
	metadata        []string // sorted
	rest            []byte   // unknown fields
}

func (r request) String() string {
	return fmt.Sprintf("%s/%s %x, deadline %t, metadata %q, rest %x", r.service, r.method, shorten(r.payload), r.limited, r.metadata, r.rest)
}

func parseRequest(b []byte) (r request, err error) {
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeField(b)
		if n < 0 {
			return r, protowire.ParseError(n)
		}
		field := b[:n]
		b = b[n:]
		_, _, tag := protowire.ConsumeTag(field)
		value, _ := protowire.ConsumeBytes(field[tag:])
		switch {
		case number == 4 && typ == protowire.VarintType:
			r.limited = true
		case typ != protowire.BytesType:
			r.rest = append(r.rest, field...)
		case number == 1:
			r.service = string(value)
		case number == 2:
			r.method = string(value)
		case number == 3:
			r.payload = sortEntries(value)
		case number == 5:
			r.metadata = append(r.metadata, string(value))
		default:
			r.rest = append(r.rest, field...)
		}
	}
	slices.Sort(r.metadata)
	return r, nil
}
