// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/require"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	if err := Check("linux/" + runtime.GOARCH); err != nil {
		t.Errorf("Check of this platform = %v", err)
	}
	if err := Check("linux/vax"); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), `"linux/vax"`) {
		t.Errorf("Check(linux/vax) = %v, want ErrNone with the name", err)
	}
	if err := try(programs[runtime.GOARCH].bytes()); err != nil {
		t.Errorf("the program for %s: %v", runtime.GOARCH, err)
	}
	if err := try([]byte("no program")); err == nil {
		t.Error("what is no program ran")
	}
}

// TestPrograms runs those of other platforms, where something runs them.
func TestPrograms(t *testing.T) {
	t.Parallel()
	for platform, what := range map[string]string{"linux/arm64": "emulator", "linux/386": "386"} {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			if err := Check(platform); err != nil {
				require.Missing(t, what, err)
			}
		})
	}
}

// entry is qemu's registration for arm64, as the kernel prints it.
const entry = `enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: PF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
`

func TestMissing(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		files map[string]string
		want  string
	}{
		"not mounted":  {nil, "binfmt_misc is not mounted"},
		"switched off": {map[string]string{"register": "", "status": "disabled\n", "qemu-aarch64": entry}, "switched off"},
		"empty":        {map[string]string{"register": "", "status": "enabled\n"}, "no emulator is registered"},
		"another": {map[string]string{
			"register": "", "qemu-riscv64": strings.Replace(entry, "b700", "f300", 1),
			"script": "enabled\ninterpreter /bin/x\nflags: \nextension .x\n",
		}, "no emulator is registered"},
		"disabled":   {map[string]string{"register": "", "qemu-aarch64": strings.Replace(entry, "enabled", "disabled", 1)}, "qemu-aarch64 is registered but disabled"},
		"not fixed":  {map[string]string{"register": "", "qemu-aarch64": strings.Replace(entry, "PF", "P", 1)}, "without flag F, so containers do not find /usr/libexec"},
		"other name": {map[string]string{"register": "", "arm": entry}, "arm is registered and fails: /usr/libexec"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, text := range test.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := missing(dir, programs["arm64"].bytes()); !strings.Contains(got, test.want) {
				t.Errorf("missing = %q, want it to hold %q", got, test.want)
			}
		})
	}
}

// FuzzRegistration: whatever the text, an emulator takes no program that is not there.
func FuzzRegistration(f *testing.F) {
	f.Add(entry, programs["arm64"].bytes())
	f.Add("enabled\noffset -3\nmagic 00\n", []byte{0})
	f.Fuzz(func(t *testing.T, text string, program []byte) {
		if r := parse(text); r.takes(program) && len(program) < len(r.magic)+r.offset {
			t.Errorf("%+v takes %d bytes", r, len(program))
		}
	})
}
