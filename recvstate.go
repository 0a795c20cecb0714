package ttrpc

// recvState is how far the receiving half of a call has come, and how it has ended.
//
//	from                  event                                             to
//	recvOpen              end, without a Response: the peer's half is over  recvEnded
//	recvOpen              end, with a Response                              recvReplied
//	recvReplied           takeReply: the consumer decodes the Response      recvAnswered
//	recvOpen, recvEnded   discard: the call is over for its consumer too    recvDiscarded
//
// The first end counts: in all other cases an event changes nothing. What has come can still be
// taken in each state but the last.
type recvState uint8

const (
	recvOpen      recvState = iota // more may come
	recvEnded                      // in order, or by the stream's err
	recvReplied                    // by the stream's reply
	recvAnswered                   // likewise, and it was taken; err is its status
	recvDiscarded                  // by the stream's err, and nothing more is taken
)

// end says that nothing more comes, but a Response if there is one.
// It reports whether that is news.
func (s *recvState) end(reply bool) bool {
	switch {
	case *s != recvOpen:
		return false
	case reply:
		*s = recvReplied
	default:
		*s = recvEnded
	}
	return true
}

// takeReply is the consumer's, when it has found that there is a Response.
func (s *recvState) takeReply() {
	if *s == recvReplied {
		*s = recvAnswered
	}
}

// discard says that nothing more is taken. A Response stays: it has ended the call already.
func (s *recvState) discard() {
	if *s == recvOpen || *s == recvEnded {
		*s = recvDiscarded
	}
}
