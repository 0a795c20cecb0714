package files

func declared() { _ = new(thing) }
