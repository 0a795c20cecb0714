package files

// again calls a method that another file declares.
func (h *holder) again() { new(thing).method() }
