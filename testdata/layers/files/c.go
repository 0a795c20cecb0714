package files

func (t *thing) method() {}

func field(h holder) int { return h.other }
