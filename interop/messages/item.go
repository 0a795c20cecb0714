package messages

import "reflect"

// Item is the content of a message, whatever code carries it.
type Item struct {
	Text   string
	Data   []byte
	Number int64
	List   []string
	Labels map[string]string
	Inner  *Item
	Kind   int32
	Ratio  float64
	// Name and ID share a oneof: at most one is set.
	Name string
	ID   uint32
}

// A Form is one way in which generated code carries an Item.
type Form struct {
	Name string
	// New returns an empty message.
	New func() any
	// Of returns a message with this content, Read the content of one.
	Of   func(Item) any
	Read func(any) Item
}

// Equal says whether two items have the same content; nil and empty are the same.
func Equal(a, b Item) bool {
	return reflect.DeepEqual(tidy(a), tidy(b))
}

func tidy(i Item) Item {
	if len(i.Data) == 0 {
		i.Data = nil
	}
	if len(i.List) == 0 {
		i.List = nil
	}
	if len(i.Labels) == 0 {
		i.Labels = nil
	}
	if i.Inner != nil {
		inner := tidy(*i.Inner)
		i.Inner = &inner
	}
	return i
}

// Full returns an item that uses every field; n makes it one of a kind.
func Full(n int64) Item {
	return Item{
		Text: "text é", Data: []byte{0, 1, 0xff}, Number: n, List: []string{"", "b"},
		Labels: map[string]string{"k": "v", "": "empty"}, Kind: 1, Ratio: 0.5, Name: "oneof",
		Inner: &Item{Number: -n, ID: 7, Inner: &Item{Text: "deep"}},
	}
}
