// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestBaseline(t *testing.T) {
	t.Parallel()
	same := func(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }
	one := []float64{96, 97, 98, 99, 100, 100, 101, 102, 103, 104}
	cases := map[string]struct {
		values []float64
		better string
		want   Baseline
	}{
		"nothing":               {nil, "", Baseline{}},
		"too few":               {[]float64{95, 105, 100}, "", Baseline{Starts: 3, Median: 100, Spread: 10, Limit: 90}},
		"too few, lower":        {[]float64{95, 105, 100}, Lower, Baseline{Starts: 3, Median: 100, Spread: 10, Limit: 100 / 0.9}},
		"all alike":             {same(10, 100), "", Baseline{Starts: 10, Median: 100, Limit: 97}},
		"all alike, lower":      {same(10, 100), Lower, Baseline{Starts: 10, Median: 100, Limit: 103}},
		"spread":                {one, "", Baseline{Starts: 10, Median: 100, Spread: 6, Limit: 82}},
		"spread, lower":         {one, Lower, Baseline{Starts: 10, Median: 100, Spread: 6, Limit: 118}},
		"one far off":           {slices.Concat(same(9, 100), same(1, 1), same(1, 100)), "", Baseline{Starts: 10, Median: 100, Limit: 97}},
		"below nothing":         {same(10, -100), "", Baseline{Starts: 10, Median: -100, Limit: -103}},
		"nothing at all":        {same(10, 0), "", Baseline{Starts: 10}},
		"the newest thirty":     {slices.Concat(same(40, 100), same(30, 110)), "", Baseline{Starts: 30, Median: 110, Limit: 0.97 * 110}},
		"slow starts":           {slices.Concat(same(10, 100), same(9, 90)), "", Baseline{Starts: 10, Median: 100, Limit: 97}},
		"slow between":          {slices.Concat(same(10, 100), same(9, 90), same(1, 100), same(9, 90)), "", Baseline{Starts: 11, Median: 100, Limit: 97}},
		"slow ones are the new": {slices.Concat(same(10, 100), same(10, 90)), "", Baseline{Starts: 10, Median: 90, Limit: 0.97 * 90}},
		"fast ones are few":     {slices.Concat(same(30, 100), same(9, 120)), "", Baseline{Starts: 30, Median: 100, Limit: 97}},
		"fast ones are the new": {slices.Concat(same(30, 100), same(10, 120)), "", Baseline{Starts: 10, Median: 120, Limit: 0.97 * 120}},
		"fast for long":         {slices.Concat(same(30, 100), same(26, 120)), "", Baseline{Starts: 26, Median: 120, Limit: 0.97 * 120}},
		"less, lower":           {slices.Concat(same(30, 100), same(26, 80)), Lower, Baseline{Starts: 26, Median: 80, Limit: 1.03 * 80}},
		"fast, then slow":       {slices.Concat(same(30, 100), same(9, 120), same(9, 80)), "", Baseline{Starts: 30, Median: 100, Limit: 97}},
		"few, then slow":        {slices.Concat(same(4, 120), same(9, 100)), "", Baseline{Starts: 4, Median: 120, Limit: 0.9 * 120}},
		"few, slow for long":    {slices.Concat(same(4, 120), same(10, 100)), "", Baseline{Starts: 10, Median: 100, Limit: 97}},
		"few, then fast, lower": {slices.Concat(same(4, 120), same(9, 100)), Lower, Baseline{Starts: 4, Median: 120, Limit: 120 / 0.9}},
		"slow first start":      {slices.Concat(same(1, 60), same(9, 100)), "", Baseline{Starts: 1, Median: 60, Limit: 54}},
		"slow first, then ten":  {slices.Concat(same(1, 60), same(10, 100)), "", Baseline{Starts: 10, Median: 100, Limit: 97}},
		"nothing, then some":    {slices.Concat(same(1, 0), same(10, 100)), "", Baseline{Starts: 10, Median: 100, Limit: 97}},
		"very large":            {same(10, 1e300), "", Baseline{Starts: 10, Median: 1e300, Limit: 0.97 * 1e300}},
	}
	for name, test := range cases {
		got := baselineOf(test.values, test.better)
		if got.Starts != test.want.Starts || got.Median != test.want.Median || got.Spread != test.want.Spread || math.Abs(got.Limit-test.want.Limit) > 1e-9*max(1, math.Abs(test.want.Limit)) {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
	if b := baselineOf(same(10, 100), ""); b.Worse(97) || !b.Worse(96.9) {
		t.Errorf("the limit of %+v is not where it is", b)
	}
	if b := baselineOf(same(10, 100), Lower); b.Worse(103) || !b.Worse(103.1) || b.Worse(1) {
		t.Errorf("the limit of %+v is not where it is", b)
	}
}

// trials of each row of a table. A rate of 1 in 1000 is then known to 2 in 10,000.
const trials = 20_000

// odds are how often a start is called worse that is like those before it (false alarms),
// and one that is slower by so many percent.
type odds struct {
	trials, alarms int
	found          [20]int // by percent
}

func (o *odds) add(earlier []float64, v float64) {
	b := baselineOf(earlier, "")
	o.trials++
	for percent := range o.found {
		if b.Worse(v * (1 - float64(percent)/100)) {
			o.found[percent]++
		}
	}
	o.alarms = o.found[0]
}

func (o *odds) rate() float64 { return float64(o.alarms) / float64(o.trials) }

// smallest is the slowdown in percent that is found 99 times of 100.
func (o *odds) smallest() string {
	for percent, n := range o.found {
		if percent > 0 && float64(n) >= 0.99*float64(o.trials) {
			return fmt.Sprintf("%d %%", percent)
		}
	}
	return fmt.Sprintf("over %d %%", len(o.found)-1)
}

func (o *odds) String() string {
	return fmt.Sprintf("%.2f in 1000 | %s", 1000*o.rate(), o.smallest())
}

// sample is a figure of a recorded start.
type sample struct {
	value   float64
	machine string
	program string
}

// recorded are the figures of ledger/ by what they are of: one key, and one image, so that
// nothing had changed between them.
func recorded(t *testing.T) map[string][]sample {
	t.Helper()
	ledger, err := ReadLedger("../ledger")
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string][]sample{}
	for _, o := range ledger {
		if r := o.Row; r.Result == Passed && !r.StandIn && !r.Dry {
			k := keyOf(o.Host, r)
			for name, figure := range r.figures() {
				shared := ""
				if r.Sharing != nil {
					shared = fmt.Sprintf(", client %d by %s", k.sharing.Client, k.sharing.By)
				}
				of := fmt.Sprintf("%s %s by %s%s, %s on %d x %s, driver %s, image %.6s", r.Cell, r.Sample, r.Engine, shared, name, k.gpus, k.gpu, o.Host.Driver, strings.TrimPrefix(r.Digest, "sha256:"))
				value := figure.Value
				if figure.Better == Lower {
					value = 1 / value
				}
				groups[of] = append(groups[of], sample{value, strings.Join(r.Devices, " "), r.Sample})
			}
		}
	}
	return groups
}

// draw takes n of samples, each as often as it comes, that keep allows.
func draw(random *rand.Rand, samples []sample, n int, keep func(int) bool) []float64 {
	var out []float64
	for len(out) < n {
		if i := random.IntN(len(samples)); keep(i) {
			out = append(out, samples[i].value)
		}
	}
	return out
}

// TestRecorded holds the rule to the rows of real GPUs in ledger/: a baseline is drawn from
// the starts of one thing, another of them is the new one; a quarter of the draws has the
// new one of a machine that the baseline has not seen, where there are several. What is put
// together is of one program: figures of others are spread otherwise, and never its baseline.
func TestRecorded(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(16, 16))
	groups := recorded(t)
	var pool []sample
	known := 0
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		samples := groups[name]
		values := make([]float64, len(samples))
		for i, s := range samples {
			values[i] = s.value
		}
		if len(samples) >= 3 && samples[0].program == NBody {
			for i, s := range samples {
				pool = append(pool, sample{s.value / median(values), fmt.Sprint(name, i), s.program})
			}
		}
		if len(samples) < enough {
			continue
		}
		known++
		held(t, name, samples, resample(random, samples, enough))
	}
	if known < 4 {
		t.Errorf("%d figures have %d rows or more, want 4", known, enough)
	}
	held(t, "all of nbody together", pool, resample(random, pool, recent))
}

// resample draws baselines of ten starts to most.
func resample(random *rand.Rand, samples []sample, most int) *odds {
	var o odds
	for range trials {
		i := random.IntN(len(samples))
		other := func(j int) bool { return j != i }
		strange := func(j int) bool { return samples[j].machine != samples[i].machine }
		if random.IntN(4) == 0 && slices.ContainsFunc(samples, func(s sample) bool { return s.machine != samples[i].machine }) {
			other = strange
		}
		o.add(draw(random, samples, enough+random.IntN(most-enough+1), other), samples[i].value)
	}
	return &o
}

func held(t *testing.T, name string, samples []sample, o *odds) {
	t.Helper()
	low, high := samples[0].value, samples[0].value
	for _, s := range samples {
		low, high = min(low, s.value), max(high, s.value)
	}
	t.Logf("| %s | %d | %.2f %% | %v |", name, len(samples), 100*(high/low-1), o)
	if o.rate() >= 0.001 {
		t.Errorf("%s: %d false alarms in %d", name, o.alarms, o.trials)
	}
	if found := float64(o.found[5]) / float64(o.trials); high/low < 1.015 && found < 0.99 {
		t.Errorf("%s: a slowdown of 5 %% is found %.1f times of 100", name, 100*found)
	}
}

// TestSynthetic says what the rule does to figures that are spread otherwise than those
// recorded, at ten starts. What it must keep to is what docs/baseline.md says.
func TestSynthetic(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(16, 10))
	normal := random.NormFloat64
	levels := func(share float64) func() float64 { // two of them 2 apart, so that half of each spreads by 1
		return func() float64 {
			if random.Float64() < share {
				return -2 + 0.1*normal()
			}
			return 0.1 * normal()
		}
	}
	for _, test := range []struct {
		name   string
		draw   func() float64 // a spread of about 1 around nothing
		atMost [4]float64     // false alarms in 1000 where the spread is 0.25, 0.5, 1 and 2 %
	}{
		{"normal", normal, [4]float64{0.1, 0.1, 1, 1}},
		{"skewed to slow (exponential)", func() float64 { return 1 - random.ExpFloat64() }, [4]float64{0.1, 2, 11, 14}},
		{"skewed to fast (exponential)", func() float64 { return random.ExpFloat64() - 1 }, [4]float64{0.1, 0.1, 0.1, 1}},
		{"heavy tails (t, 3 degrees)", func() float64 {
			return normal() / math.Sqrt((math.Pow(normal(), 2)+math.Pow(normal(), 2)+math.Pow(normal(), 2))/3) / math.Sqrt(3)
		}, [4]float64{0.5, 2, 5, 7}},
		{"two levels, half each", levels(0.5), [4]float64{0.1, 0.1, 0.1, 8}},
		{"two levels, a tenth is slow", levels(0.1), [4]float64{0.1, 0.1, 0.1, 80}},
	} {
		for i, percent := range []float64{0.25, 0.5, 1, 2} {
			var o odds
			for range trials {
				values := make([]float64, enough+1)
				for j := range values {
					values[j] = 100 + percent*test.draw()
				}
				o.add(values[:enough], values[enough])
			}
			t.Logf("| %s | %v %% | %v |", test.name, percent, &o)
			if 1000*o.rate() > test.atMost[i] {
				t.Errorf("%s, %v %%: %.2f false alarms in 1000, want no more than %v", test.name, percent, 1000*o.rate(), test.atMost[i])
			}
		}
	}
}
