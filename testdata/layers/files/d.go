package files

type holder struct{ other int }

var _ = (*holder).again
