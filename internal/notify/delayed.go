package notify

// delayedBytes is for how many bytes a consumer is woken at the latest.
const delayedBytes = 256 << 10

// Delayed is a consumer that has not been woken for the last large messages: to read one costs less
// than to wake a goroutine, and often the next one has come already. It belongs to the one who
// reads. The zero value is nobody.
type Delayed struct {
	consumer chan struct{} // nil: nobody
	bytes    int32         // of these messages
	seen     int32         // of bytes, when WakeStale was called last
}

// Delay has a consumer that has got a message woken later, by its channel of capacity 1. Another
// one that is to be woken is woken now. Delay returns false where the caller is to wake the
// consumer: it has got enough.
func (d *Delayed) Delay(consumer chan struct{}, bytes int) bool {
	if d.consumer != consumer {
		d.Wake()
	}
	if bytes += int(d.bytes); bytes >= delayedBytes {
		*d = Delayed{}
		return false
	}
	d.consumer, d.bytes = consumer, int32(bytes)
	return true
}

// WakeStale wakes a consumer that has got nothing since WakeStale was called last.
func (d *Delayed) WakeStale() {
	if d.seen == d.bytes {
		d.Wake()
	}
	d.seen = d.bytes
}

// Wake wakes the consumer.
func (d *Delayed) Wake() {
	if d.consumer != nil {
		One(d.consumer)
		*d = Delayed{}
	}
}
