package transport

// sendState says whether somebody writes, and how the sending half ends.
//
//	from             event                                           to
//	sendIdle         claim: somebody is about to write the backlog   sendWriting
//	sendWriting      written: nothing is left                        sendIdle
//	sendIdle         close, with a backlog that is to be flushed     sendClosing
//	sendIdle         close, without a backlog                        sendFlushed
//	sendWriting      close                                           sendWritingLast
//	sendClosing      claim                                           sendWritingLast
//	sendWritingLast  written: nothing is left                        sendFlushed
//	each of these    stop: a write has failed, or Stop               sendStopped
//
// sendFlushed and sendStopped are for ever. In all other cases an event changes nothing: claim
// fails while somebody writes, who takes along what has been posted meanwhile; and one whose write
// returns after stop finds that all is over.
type sendState uint8

const (
	sendIdle sendState = iota
	sendWriting
	sendClosing     // nobody writes yet; it ends when the backlog is written
	sendWritingLast // it ends when the backlog is written
	sendFlushed     // all was written, and nothing more is taken
	sendStopped     // nothing more is written, nor taken
)

// claim makes the caller the one who writes, if nobody does. There is a backlog.
func (s *sendState) claim() bool {
	switch *s {
	case sendIdle:
		*s = sendWriting
	case sendClosing:
		*s = sendWritingLast
	default:
		return false
	}
	return true
}

// written is called by the one who writes, when nothing is left. It reports whether that is the end
// that close has asked for.
func (s *sendState) written() (flushed bool) {
	switch *s {
	case sendWriting:
		*s = sendIdle
	case sendWritingLast:
		*s = sendFlushed
		return true
	}
	return false
}

// close has the half end when the backlog is written. It reports whether that is now.
func (s *sendState) close(backlog bool) (flushed bool) {
	switch {
	case *s == sendWriting:
		*s = sendWritingLast
	case *s == sendIdle && backlog:
		*s = sendClosing
	case *s == sendIdle:
		*s = sendFlushed
		return true
	}
	return false
}

// stop ends the half at once, and reports whether it was up.
func (s *sendState) stop() bool {
	if *s == sendFlushed || *s == sendStopped {
		return false
	}
	*s = sendStopped
	return true
}
