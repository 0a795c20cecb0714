package item

import "github.com/containerd/ttrpc/interop/messages"

// Form returns how this package's Item carries content. This file is one and the same for
// all forms: the packages beside this one link to it.
func Form(name string) messages.Form {
	return messages.Form{
		Name: name,
		New:  func() any { return new(Item) },
		Of:   func(i messages.Item) any { return of(&i) },
		Read: func(m any) messages.Item { return *read(m.(*Item)) },
	}
}

func of(i *messages.Item) *Item {
	if i == nil {
		return nil
	}
	m := &Item{
		Text: i.Text, Data: i.Data, Number: i.Number, List: i.List, Labels: i.Labels,
		Inner: of(i.Inner), Kind: Item_Kind(i.Kind), Ratio: i.Ratio,
	}
	switch {
	case i.Name != "":
		m.Choice = &Item_Name{Name: i.Name}
	case i.ID != 0:
		m.Choice = &Item_Id{Id: i.ID}
	}
	return m
}

func read(m *Item) *messages.Item {
	if m == nil {
		return nil
	}
	i := &messages.Item{
		Text: m.Text, Data: m.Data, Number: m.Number, List: m.List, Labels: m.Labels,
		Inner: read(m.Inner), Kind: int32(m.Kind), Ratio: m.Ratio,
	}
	switch c := m.Choice.(type) {
	case *Item_Name:
		i.Name = c.Name
	case *Item_Id:
		i.ID = c.Id
	}
	return i
}
