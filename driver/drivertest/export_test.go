package drivertest

import "testing"

// RuleNames returns the names of all rules.
func RuleNames() []string {
	var names []string
	for _, r := range rules {
		names = append(names, r.name)
	}
	return names
}

// RunRule runs one rule on t itself.
func RunRule(t testing.TB, name string, setup func(testing.TB) Subject) {
	for _, r := range rules {
		if r.name == name {
			r.run(t, setup(t))
		}
	}
}

// Sentences returns the sentence of each rule by its name.
func Sentences() map[string]string {
	sentences := map[string]string{}
	for _, r := range rules {
		sentences[r.name] = r.sentence
	}
	return sentences
}
