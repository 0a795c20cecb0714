package grpcttrpc

import (
	"context"
	"strings"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// addCredentials adds what the credentials of grpc.PerRPCCredentials say of the call.
func (c *call) addCredentials(ctx context.Context, md ttrpc.MD) error {
	if c.creds == nil {
		return nil
	}
	info := c.conn.peer().AuthInfo
	if c.creds.RequireTransportSecurity() &&
		(info == nil || credentials.CheckSecurityLevel(info, credentials.PrivacyAndIntegrity) != nil) {
		return status.Error(codes.Unauthenticated, "grpcttrpc: the call's credentials require transport security, "+
			"and nothing says that this connection has it: see WithAuthInfo")
	}
	ctx = credentials.NewContextWithRequestInfo(ctx, credentials.RequestInfo{Method: c.method, AuthInfo: info})
	data, err := c.creds.GetRequestMetadata(ctx, "https://localhost/"+c.service)
	if err != nil {
		return credentialsError(err)
	}
	for key, value := range data {
		if err := appendTo(md, strings.ToLower(key), []string{value}); err != nil {
			return err
		}
	}
	return nil
}

func credentialsError(err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Errorf(codes.Internal, "grpcttrpc: the call's credentials failed: %v", err)
}
