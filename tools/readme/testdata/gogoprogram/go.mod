module example.com/gogoprogram

go 1.19

require (
	github.com/containerd/ttrpc v1.1.2
	github.com/gogo/protobuf v1.3.2
	google.golang.org/grpc v1.33.2
)

require (
	github.com/golang/protobuf v1.5.0 // indirect
	github.com/sirupsen/logrus v1.8.1 // indirect
	golang.org/x/sys v0.0.0-20210124154548-22da62e12c0c // indirect
	google.golang.org/genproto v0.0.0-20200224152610-e50cd9704f63 // indirect
)

// The pins of containerd 1.5.
replace (
	github.com/golang/protobuf => github.com/golang/protobuf v1.3.5
	google.golang.org/genproto => google.golang.org/genproto v0.0.0-20200224152610-e50cd9704f63
	google.golang.org/grpc => google.golang.org/grpc v1.27.1
)
