package shim

import (
	"github.com/pkg/errors"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// wire makes of an own error the status that goes to the client: the code for programs, the text
// for people, and the task's name as a detail. Other errors are left for ttrpc to translate.
func wire(err error, id string) error {
	var code codes.Code
	switch {
	case errors.Is(err, errNotFound):
		code = codes.NotFound
	case errors.Is(err, errExists):
		code = codes.AlreadyExists
	case errors.Is(err, errTooMuch):
		code = codes.OutOfRange
	default:
		return err
	}
	st := status.New(code, err.Error())
	detailed, detailErr := st.WithDetails(&errdetails.ResourceInfo{ResourceType: "task", ResourceName: id})
	if detailErr != nil {
		return st.Err()
	}
	return detailed.Err()
}
