package reflection

import (
	_ "embed" // for the descriptors
	"sync"
)

// The files of the services that this module has itself and registers nowhere: so a client can ask
// for the descriptor of every service that it sees. They are those of grpc-go, from where a test in
// interop/services writes them.
var (
	//go:embed descriptors/health.binpb
	healthFile []byte
	//go:embed descriptors/reflection_v1.binpb
	reflectionV1File []byte
	//go:embed descriptors/reflection_v1alpha.binpb
	reflectionV1AlphaFile []byte
)

var builtInIndex = sync.OnceValue(func() *index {
	x := newIndex()
	for _, data := range [][]byte{healthFile, reflectionV1File, reflectionV1AlphaFile} {
		if fd, err := decode(data); err == nil {
			x.add(fd, data)
		}
	}
	return x
})

// builtIn is the source of these files. It comes last, behind what the program has registered.
type builtIn struct{}

func (builtIn) file(name string) (file, error)   { return builtInIndex().file(name) }
func (builtIn) symbol(name string) (file, error) { return builtInIndex().symbol(name) }

func (builtIn) extension(message string, number int32) (file, error) {
	return builtInIndex().extension(message, number)
}

func (builtIn) extensions(message string) []int32 { return builtInIndex().extensions(message) }
