package reader

// delayedWake is a consumer that has not been woken for the last large messages: to read one costs
// less than to wake a goroutine, and often the next one has come already.
type delayedWake struct {
	consumer chan struct{}
	bytes    int // of these messages
}

// wakeBytes is for how many bytes a consumer is woken at the latest.
const wakeBytes = 256 << 10

// DelayWake has a consumer that has got a message woken, by its channel of capacity 1, before the
// loop waits, leaves, or lets a call run, and after the next read that has brought it nothing. It
// returns false where the caller is to wake it: nobody but the loop looks after it.
func (r *Reader) DelayWake(consumer chan struct{}, bytes int) bool {
	if r.state != ByLoop || !r.t.CanTry() {
		return false
	}
	if r.delayed.consumer != consumer {
		r.wakeDelayed()
	}
	if bytes += r.delayed.bytes; bytes >= wakeBytes {
		r.delayed = delayedWake{}
		return false
	}
	r.delayed = delayedWake{consumer, bytes}
	return true
}

// wakeDelayed wakes the consumer that has not been woken.
func (r *Reader) wakeDelayed() {
	consumer := r.delayed.consumer
	if consumer == nil {
		return
	}
	r.delayed = delayedWake{}
	select {
	case consumer <- struct{}{}:
	default:
	}
}

// Leave is the role's.
func (r *Reader) Leave() {
	r.wakeDelayed()
	r.role.Leave()
}

// MayRun is the role's. A call that is run may take its time.
func (r *Reader) MayRun() (here, instead bool) {
	r.wakeDelayed()
	return r.role.MayRun()
}
