package grpcttrpc

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// binSuffix ends the keys whose values are any bytes. A value on ttrpc's wire is a text, so these
// travel as base64 without padding, as they do over HTTP/2.
const binSuffix = "-bin"

// outgoing is the metadata of a call: what ctx has for ttrpc, and what it has for grpc. The map is
// the caller's.
func outgoing(ctx context.Context) (ttrpc.MD, error) {
	md, _ := ttrpc.GetMetadata(ctx)
	if md == nil {
		md = ttrpc.MD{}
	}
	out, _ := metadata.FromOutgoingContext(ctx)
	for key, values := range out {
		if err := appendTo(md, key, values); err != nil {
			return nil, err
		}
	}
	return md, nil
}

// appendTo adds metadata of grpc's, of which reserved keys are dropped, as grpc-go drops them.
func appendTo(md ttrpc.MD, key string, values []string) error {
	if err := validate(key, values); err != nil {
		return err
	}
	if reserved(key) {
		return nil
	}
	for _, value := range values {
		if strings.HasSuffix(key, binSuffix) {
			value = base64.RawStdEncoding.EncodeToString([]byte(value))
		}
		md[key] = append(md[key], value)
	}
	return nil
}

// validate refuses what gRPC could not send.
func validate(key string, values []string) error {
	const valid = "abcdefghijklmnopqrstuvwxyz0123456789.-_"
	switch {
	case key == "":
		return status.Error(codes.Internal, "grpcttrpc: there is an empty key in the metadata")
	case key[0] == ':': // which is reserved, and dropped
		return nil
	case strings.ContainsFunc(key, func(r rune) bool { return !strings.ContainsRune(valid, r) }):
		return status.Errorf(codes.Internal, "grpcttrpc: metadata key %q contains characters not in [0-9a-z-_.]", key)
	case strings.HasSuffix(key, binSuffix):
		return nil
	}
	for _, value := range values {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return status.Errorf(codes.Internal, "grpcttrpc: metadata key %q has a value with characters that are not printable ASCII: "+
				"the keys of such values end in %s", key, binSuffix)
		}
	}
	return nil
}

// reserved keys are those that gRPC itself has on HTTP/2.
func reserved(key string) bool {
	switch key {
	case "content-type", "user-agent", "te", "grpc-message-type", "grpc-encoding", "grpc-message", "grpc-status", "grpc-timeout":
		return true
	}
	return strings.HasPrefix(key, ":")
}

// incoming is the metadata of a call as a handler for grpc finds it.
func incoming(ctx context.Context) (metadata.MD, error) {
	received, _ := ttrpc.GetMetadata(ctx)
	md := make(metadata.MD, len(received))
	for key, values := range received {
		if reserved(key) && key != "user-agent" && key != ":authority" {
			continue
		}
		if strings.HasSuffix(key, binSuffix) {
			if err := decodeBin(key, values); err != nil {
				return nil, err
			}
		}
		md[key] = values
	}
	return md, nil
}

// decodeBin decodes values in their place. Some peers pad them.
func decodeBin(key string, values []string) error {
	for i, value := range values {
		data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
		if err != nil {
			return status.Errorf(codes.Internal, "grpcttrpc: malformed binary metadata %q in key %q: %v", value, key, err)
		}
		values[i] = string(data)
	}
	return nil
}
