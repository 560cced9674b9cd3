// SPDX-License-Identifier: Apache-2.0

package loader

// words yields the names of an object that others may have too.
func (o *Object) words(yield func(*string)) {
	for _, s := range []*string{&o.Interp, &o.SOName, &o.RPath, &o.RunPath} {
		yield(s)
	}
	lists := [][]string{o.Needed, o.Defines}
	for i := range o.Versions {
		yield(&o.Versions[i].Lib)
		lists = append(lists, o.Versions[i].Names)
	}
	for i := range o.Built {
		yield(&o.Built[i].Lib)
		yield(&o.Built[i].Version)
	}
	for _, list := range lists {
		for i := range list {
			yield(&list[i])
		}
	}
}

// Words is the bytes of the names of all objects, each as often as objects have it.
func (f *Facts) Words() (n int) {
	for i := range f.Objects {
		f.Objects[i].words(func(s *string) { n += len(*s) })
	}
	return n
}

// Share keeps one copy of each name of the objects, of facts that were just read.
func (f *Facts) Share() {
	known := map[string]string{}
	for i := range f.Objects {
		f.Objects[i].words(func(s *string) {
			if other, ok := known[*s]; ok {
				*s = other
			} else {
				known[*s] = *s
			}
		})
	}
}
