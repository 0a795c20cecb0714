//lint:file-ignore ST1005 The texts are protoc's, with its full stops.

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// refusal is what a plugin's answer fails with: all that the plugin lacks, and its own error. A
// plugin says in its answer what it understands beyond proto2 and proto3; an old one writes code
// with wrong types for the rest. The order, the texts and the exceptions are protoc's, which looks
// at the files to generate and not at their imports.
func refusal(bin string, resp *pluginpb.CodeGeneratorResponse, requested []*descriptorpb.FileDescriptorProto) error {
	name := strings.TrimSuffix(filepath.Base(bin), ".exe")
	var own error
	if resp.Error != nil {
		own = errors.New(resp.GetError())
	}
	return errors.Join(checkOptional(name, resp, requested), checkEditions(name, resp, requested), own)
}

func checkOptional(name string, resp *pluginpb.CodeGeneratorResponse, requested []*descriptorpb.FileDescriptorProto) error {
	if supports(resp, pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL) {
		return nil
	}
	for _, f := range requested {
		if hasProto3Optional(f.MessageType) {
			return fmt.Errorf("%s: is a proto3 file that contains optional fields, but code generator %s hasn't been "+
				"updated to support optional fields in proto3. Please ask the owner of this code generator to support "+
				"proto3 optional.", f.GetName(), name)
		}
	}
	return nil
}

func checkEditions(name string, resp *pluginpb.CodeGeneratorResponse, requested []*descriptorpb.FileDescriptorProto) error {
	for _, f := range requested {
		if err := checkEdition(name, resp, f); err != nil {
			return err
		}
	}
	return nil
}

func supports(resp *pluginpb.CodeGeneratorResponse, feature pluginpb.CodeGeneratorResponse_Feature) bool {
	return resp.GetSupportedFeatures()&uint64(feature) != 0
}

func hasProto3Optional(messages []*descriptorpb.DescriptorProto) bool {
	return slices.ContainsFunc(messages, func(m *descriptorpb.DescriptorProto) bool {
		return slices.ContainsFunc(m.Field, (*descriptorpb.FieldDescriptorProto).GetProto3Optional) || hasProto3Optional(m.NestedType)
	})
}

func checkEdition(name string, resp *pluginpb.CodeGeneratorResponse, f *descriptorpb.FileDescriptorProto) error {
	edition, least, most := f.GetEdition(), descriptorpb.Edition(resp.GetMinimumEdition()), descriptorpb.Edition(resp.GetMaximumEdition())
	switch {
	case f.GetSyntax() != "editions" || strings.HasPrefix(f.GetName(), "google/protobuf/") || strings.HasPrefix(f.GetName(), "upb/"):
		return nil
	case !supports(resp, pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS):
		return fmt.Errorf("%s: is an editions file, but code generator %s hasn't been updated to support editions yet.  "+
			"Please ask the owner of this code generator to add support or switch back to proto2/proto3.\n\n"+
			"See https://protobuf.dev/editions/overview/ for more information.", f.GetName(), name)
	case edition < least:
		return fmt.Errorf("%s: is a file using edition %s, which isn't supported by code generator %s.  Please upgrade "+
			"your file to at least edition %s.", f.GetName(), short(edition), name, short(least))
	case edition > most:
		return fmt.Errorf("%s: is a file using edition %s, which isn't supported by code generator %s.  Please ask the "+
			"owner of this code generator to add support or switch back to a maximum of edition %s.",
			f.GetName(), short(edition), name, short(most))
	}
	return nil
}

// short is what people call an edition: 2023.
func short(e descriptorpb.Edition) string { return strings.TrimPrefix(e.String(), "EDITION_") }
