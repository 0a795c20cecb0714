package recv

// state is how far the receiving half of a call has come, and how it has ended.
//
//	from         event                                             to
//	open         end, without a Response: the peer's half is over  ended
//	open         end, with a Response                              replied
//	replied      takeReply: the consumer decodes the Response      answered
//	open, ended  discard: the call is over for its consumer too    discarded
//
// The first end counts: in all other cases an event changes nothing. What has come can still be
// taken in each state but the last.
type state uint8

const (
	open      state = iota // more may come
	ended                  // in order, or by the half's err
	replied                // by the half's reply
	answered               // likewise, and it was taken; err is its status
	discarded              // by the half's err, and nothing more is taken
)

// end says that nothing more comes, but a Response if there is one.
// It reports whether that is news.
func (s *state) end(reply bool) bool {
	switch {
	case *s != open:
		return false
	case reply:
		*s = replied
	default:
		*s = ended
	}
	return true
}

// takeReply is the consumer's, when it has found that there is a Response.
func (s *state) takeReply() {
	if *s == replied {
		*s = answered
	}
}

// discard says that nothing more is taken. A Response stays: it has ended the call already.
func (s *state) discard() {
	if *s == open || *s == ended {
		*s = discarded
	}
}
