# SPDX-License-Identifier: Apache-2.0
# Every target that CI runs is here; `make` alone lists them.
export PATH := $(CURDIR)/bin:$(PATH)
# Programs, tests and linters share one set of build flags and so the Go build cache; no debug information: a fifth faster.
export CGO_ENABLED := 0
FLAGS  := -trimpath -gcflags=all=-dwarf=false
export GOFLAGS := $(filter-out $(FLAGS),$(shell go env GOFLAGS 2>/dev/null)) $(FLAGS)
STRIP  := -s -w
TOOL    = go build -C tools -ldflags '$(STRIP) $(1)' -o ../$(@D)/
PINNED  = $(shell go list -C tools -m -f '{{.Version}}' $(1))
PINS   := tools/go.mod tools/go.sum
BUILDKIT := github.com/moby/buildkit
MOBY    := github.com/moby/moby/v2
TOOLKIT := github.com/NVIDIA/nvidia-container-toolkit
ENGINE := bin/buildkitd bin/runc
NVIDIA := bin/nvidia-cdi-hook bin/nvidia-container-runtime
OBSERVE := bin/observe-amd64 bin/observe-arm64
GPU := bin/gpu/cudabuild $(NVIDIA:bin/%=bin/gpu/%)
CLUSTER := $(addprefix bin/,kubernetes pause registry crane runc)
K8S     := k8s.io/kubernetes
QUIET   = -O2 -Wno-deprecated-declarations
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
build: ## build bin/cudabuild, nothing else
	go build -ldflags '$(STRIP)' -o bin/ ./cmd/cudabuild
deps: ## install missing system packages (apt-get, root)
	@scripts/deps.sh build
emulator: ## let this machine, all of it, run programs of amd64 and arm64 (root; docs/platforms.md)
	@scripts/emulator.sh
tools: $(ENGINE) $(NVIDIA) $(OBSERVE) bin/registry bin/runc-1.1.5 bin/agree ## build the pinned daemons, and the observer of pods, into bin/
matrix: deps build $(ENGINE) ## build and verify the default image family: out/images, out/run.json
	bin/cudabuild matrix
test: tools build ## run every test that needs no GPU
	@scripts/deps.sh test
	go test -timeout 20m ./...
	CGO_ENABLED=1 CGO_CFLAGS='$(QUIET)' go test -timeout 20m ./gpu/...
	go test -C tools ./sbom
# What is left out reads files of 50 MB or a whole host, runs other programs, or is of one goroutine.
race: tools ## run the tests of verify, image, gpu and fleet under the race detector
	CGO_ENABLED=1 CGO_CFLAGS='$(QUIET)' go test -race -timeout 10m -skip '^Test(TablesInTheMiddle|Host|HookGrid|DeviceCodeOfBigFiles|ArrivalInside|FaultsInside)$$' \
		./verify/... ./image/... ./gpu/... ./fleet/k8s ./fleet/daemon ./fleet/docker
gpu: deps build $(ENGINE) ## build bin/gpu/cudabuild, with GPU support and for old C libraries, and test it there
	@scripts/debian.sh 'make -o deps $(GPU); bin/gpu/cudabuild version; bin/gpu/cudabuild host --json >/dev/null || [ $$? = 3 ]'
	cp bin/runc bin/gpu/runc # static already
lint: bin/golangci-lint bin/actionlint ## check formatting, imports, style and workflows
	go mod tidy -diff
	bin/golangci-lint run --timeout 10m ./...
	cd tools && golangci-lint run ./sbom
	bin/actionlint .github/workflows/*.yml emit/testdata/golden/*.yml
	awk '/^```/ {if (on) exit; on = /yaml/; next} on' docs/ci.md | sed 's,cudabuild/cudabuild\(.*\)@.*,.\1,' >bin/example.yml
	bin/actionlint bin/example.yml
fmt: bin/golangci-lint ## rewrite formatting and import order
	bin/golangci-lint fmt ./...
golden: ## rewrite the golden graphs
	go test ./llb ./matrix ./plan ./recipes ./emit ./evidence ./fleet/k8s ./report/... ./cmd/cudabuild ./bench/predictions -update
fuzz-long: FUZZTIME = 10000000x
fuzz fuzz-long: ## run each fuzz target for FUZZTIME (20s), or ten million times
	@scripts/fuzz.sh '$(FUZZTIME)' $(FUZZ)
e2e: tools build cluster bin/buildx bin/cosign bin/crane bin/regctl bin/docker29/dockerd ## build real images end to end and look at them with other people's tools
	@scripts/deps.sh e2e
	go test -tags e2e -count=1 -timeout 50m -v ./e2e # one package: its output is printed as it comes, also if it never ends
	scripts/cluster.sh run go test -tags cluster -count=1 -timeout 10m -v ./fleet/place
browser: tools/browser/node_modules ## open the page of `cudabuild report` in Chromium: accessibility, widths, filters, keyboard, print
	go run ./bench/pages out/pages
	PAGES=out/pages node --test tools/browser/page.test.mjs
screenshots: build tools/browser/node_modules ## take the pictures of docs/report.md, of a page of RUN (out/run.json) and LEDGER (ledger)
	bin/cudabuild report -o out/report.html $(or $(RUN),out/run.json) $(or $(LEDGER),ledger)
	node tools/browser/screenshots.mjs out/report.html docs
	pngquant --force --ext .png --skip-if-larger 256 docs/report-wide.png docs/report-phone.png docs/report-image.png
cluster: $(CLUSTER) ## build a Kubernetes for tests and install what scripts/cluster.sh needs (root; 12 CPU minutes once)
	@scripts/deps.sh cluster
kills: tools build ## kill a tiny run at each place that makes something, and a push at each request (root; a part of them is in `make test`)
	@scripts/deps.sh test
	CUDABUILD_REQUIRE=kills,strace,buildkit,registry,root go test -count=1 -timeout 90m -v -run '^Test(Kills|Crash)$$' ./build ./publish
bench: ## run the Go benchmarks
	go test -run '^$$' -bench . -benchmem ./...
release: ## make the archives of a release of the commit that is checked out: out/release (VERSION=v0.2.0; root)
	@scripts/deps.sh run
	scripts/release.sh out/release "$$VERSION"
release-check: release ## make them again, in another folder with empty caches, and compare
	work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && mkdir "$$work/another folder" && \
		GOCACHE="$$work/cache" CUDABUILD_STATE_DIR="$$work/state" TMPDIR="$$work/another folder" scripts/release.sh "$$work/out" "$$VERSION" && \
		cd "$$work/out" && sha256sum --check $(CURDIR)/out/release/SHA256SUMS
repro: deps build $(ENGINE) ## build twice on fresh engines and compare the digests
bench-bake: deps build $(ENGINE) bin/buildx ## race `buildx bake` on the same images
bench-verify: matrix bin/dive ## time `cudabuild verify` against decoding alone and against dive
bench-push: matrix bin/registry bin/crane ## time `cudabuild push` against `skopeo copy` and `crane push`
	@scripts/deps.sh e2e
	go run ./bench/push
bench-copy: matrix bin/registry bin/crane ## time `cudabuild copy` between registries against `skopeo copy` and `crane copy`
	@scripts/deps.sh e2e
	go run ./bench/push -copy
bench-fleet: matrix tools cluster ## time rows by `cudabuild fleet` against `cudabuild gpu --engine direct`, and plans of 1,000 rows (root)
	go test -run '^$$' -bench New ./fleet
	scripts/cluster.sh run go run ./bench/fleet
bench-report: tools/browser/node_modules ## time large pages of `cudabuild report` in Chromium
	go run ./bench/pages out/pages
	node tools/browser/bench.mjs out/pages/example.html out/pages/cells-*.html
corpus: ## measure what verify finds of the drivers that Debian carries (8 GB to download): bench/corpus/recall.md
corpus: REPORT = -o bench/corpus/recall.md
repro bench-bake bench-verify corpus:
	go run ./bench/$(@:bench-%=%) $(REPORT)
clean: ## remove what was built, images included
	rm -rf bin out
bin/buildkitd: $(PINS)
	$(call TOOL,-X $(BUILDKIT)/version.Version=$(call PINNED,$(BUILDKIT))) $(BUILDKIT)/cmd/buildkitd
# runc needs cgo, and without seccomp it refuses every step; static, so that it also serves where the C library is older.
bin/runc: $(PINS) | deps
	CGO_ENABLED=1 $(call TOOL,-extldflags -static) -tags 'seccomp netgo osusergo urfave_cli_no_docs' github.com/opencontainers/runc
$(NVIDIA) $(NVIDIA:bin/%=bin/gpu/%): $(PINS) | deps
	CGO_ENABLED=1 CGO_CFLAGS='$(QUIET)' $(call TOOL,-X $(TOOLKIT)/internal/info.version=$(patsubst v%,%,$(call PINNED,$(TOOLKIT)))) -tags 'netgo osusergo' $(TOOLKIT)/cmd/$(@F)
bin/gpu/cudabuild:
	CGO_ENABLED=1 CGO_CFLAGS='$(QUIET)' go build -ldflags '$(STRIP)' -o $(@D)/ ./cmd/cudabuild
# What pods run, whatever machine this is.
$(OBSERVE): bin/observe-%: $(wildcard $(addsuffix /*.go,cmd/observe fleet/observe gpu/watch internal/capture)) go.mod
	GOARCH=$* go build -buildvcs=false -ldflags '$(STRIP)' -o $@ ./cmd/observe # the same source, the same image
# A release that gives hooks the environment of the container: tests see that it is not used.
bin/runc-1.1.5: $(addprefix tools/oldrunc/,go.mod go.sum) | deps
	CGO_ENABLED=1 go build -C $(<D) -tags 'seccomp netgo osusergo' -ldflags '$(STRIP) -extldflags -static' -o ../../$@ github.com/opencontainers/runc
bin/registry: $(addprefix tools/registry/,go.mod go.sum main.go)
	go build -C tools/registry -ldflags '$(STRIP)' -o ../../bin/registry .
bin/kubernetes: $(wildcard $(addprefix tools/kubernetes/,go.mod go.sum *.go standin/*.go))
	go build -C tools/kubernetes -ldflags '$(STRIP) -X k8s.io/component-base/version.gitVersion=$(shell go list -C tools/kubernetes -m -f '{{.Version}}' $(K8S))' -o ../../$@ .
# agree is Kubernetes' own matcher and CEL, the judge of fleet/place.
bin/pause bin/agree: bin/%: tools/kubernetes/%/main.go tools/kubernetes/go.mod
	go build -C tools/kubernetes -ldflags '$(STRIP)' -o ../../$@ ./$(@F)
bin/golangci-lint: tools/lint/go.mod
bin/actionlint bin/buildx bin/cosign bin/crane bin/dive bin/regctl: bin/%: tools/%/go.mod
bin/golangci-lint bin/actionlint bin/buildx bin/cosign bin/crane bin/dive bin/regctl:
	go build -C $(<D) -ldflags '$(STRIP)' -o ../../bin/ tool
# playwright drives Debian's Chromium, and downloads none.
tools/browser/node_modules: $(addprefix tools/browser/,package.json package-lock.json .npmrc)
	@scripts/deps.sh browser
	npm ci --prefix $(@D)
	@touch $@
# 29 (476 s of CPU). In a folder of its own, or it would be the dockerd of all tests.
bin/docker29/dockerd: tools/docker29/go.mod
	go build -C $(<D) -ldflags '$(STRIP) -X $(MOBY)/dockerversion.Version=$(shell go list -C $(<D) -m -f '{{.Version}}' $(MOBY))' -o ../../$(@D)/ tool
.PHONY: help build deps emulator tools matrix test race lint fmt golden fuzz fuzz-long e2e browser screenshots cluster kills gpu release release-check repro bench bench-bake bench-copy bench-fleet bench-push bench-report bench-verify corpus clean bin/gpu/cudabuild
