package notify

// One leaves a wake-up in a channel of capacity 1, whose receiver has one at the most.
func One(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
