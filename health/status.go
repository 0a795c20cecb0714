package health

import "strconv"

// ServingStatus tells how a service does. Its values are those of grpc.health.v1.
type ServingStatus int32

const (
	// Unknown is the zero value: the service has not said how it does.
	Unknown ServingStatus = 0
	// Serving is a service that takes calls.
	Serving ServingStatus = 1
	// NotServing is a service that does not, for now or for good.
	NotServing ServingStatus = 2
	// ServiceUnknown is what [Watch] yields for a service of which the server knows nothing, as long
	// as that is so. [Check] fails instead, with the code NotFound.
	ServiceUnknown ServingStatus = 3
)

var statusNames = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

// String returns the name that the status has in grpc.health.v1, such as NOT_SERVING, and the
// number of a status that has none.
func (s ServingStatus) String() string {
	if s < 0 || int(s) >= len(statusNames) {
		return strconv.Itoa(int(s))
	}
	return statusNames[s]
}
