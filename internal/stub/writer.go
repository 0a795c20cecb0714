package stub

import (
	"bytes"
	"fmt"
	"go/format"
	"strings"
)

// writer collects the lines of one file. They need no indentation: Source formats them.
type writer struct {
	bytes.Buffer
	*locals
	context, ttrpc, status, codes string
	embeddable                    bool // write the types that servers can embed
}

// Source returns the declarations of the file's services as gofmt writes them, without the package
// clause and the imports. It is called once for a file.
func (f *File) Source() ([]byte, error) {
	f.disambiguate()
	w := &writer{
		locals: f.locals(), context: f.Context, ttrpc: f.TTRPC, status: f.Status, codes: f.Codes, embeddable: f.Unimplemented,
	}
	w.WriteString(clause)
	for _, s := range f.Services {
		w.service(s)
	}
	src, err := format.Source(w.Bytes())
	if err != nil {
		return nil, fmt.Errorf("the generated code is not Go: %w", err)
	}
	return bytes.TrimPrefix(src, []byte(clause)), nil
}

// clause makes the declarations a file while they are formatted. Without it gofmt would take the
// first comment for the end of a line of its own and change it.
const clause = "package stub\n\n"

// P writes a line.
func (w *writer) P(parts ...string) {
	for _, part := range parts {
		w.WriteString(part)
	}
	w.WriteByte('\n')
}

// doc writes what the .proto file says as a Go doc comment.
func (w *writer) doc(d Doc) {
	var paragraphs []string
	for _, text := range []string{d.Leading, d.Trailing} {
		if text = strings.Trim(text, "\r\n"); strings.TrimSpace(text) != "" {
			paragraphs = append(paragraphs, text)
		}
	}
	if d.Deprecated && !saysDeprecated(paragraphs) {
		paragraphs = append(paragraphs, " Deprecated: Do not use.")
	}
	if len(paragraphs) > 0 {
		w.comment(strings.Join(paragraphs, "\n\n"))
	}
}

// saysDeprecated reports whether a paragraph already is the notice that Go's tools look for.
func saysDeprecated(paragraphs []string) bool {
	for _, line := range strings.Split(strings.Join(paragraphs, "\n"), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "Deprecated: ") {
			return true
		}
	}
	return false
}

// comment writes lines of text as a comment. Every line starts with a space, or a line such as
// "go:generate ..." in a .proto file would become a directive in Go.
func (w *writer) comment(text string) {
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line != "" && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			line = " " + line
		}
		w.P("//", line)
	}
}
