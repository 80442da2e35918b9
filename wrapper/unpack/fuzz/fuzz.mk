# Fuzz targets: build/fuzz/NAME for each NAME.cc below. libFuzzer is clang's, hence the other compiler.

fuzz_cxx ?= clang++
fuzz_out := $(top)/build/fuzz
fuzz_obj := $(top)/build/obj/fuzz
fuzz_targets := cpio squashfs tar whiteouts
fuzz_flags := -std=c++17 $(warnings) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -pthread

fuzz_support := $(core_sources:%.cc=$(fuzz_obj)/%.o) $(patsubst %,$(fuzz_obj)/fuzz/%.o,description memory scratch unpacking)
fuzz_cpio := $(fuzz_obj)/fuzz/cpio.o
fuzz_squashfs := $(fuzz_obj)/fuzz/squashfs.o
fuzz_tar := $(fuzz_obj)/fuzz/tar.o $(fuzz_obj)/fuzz/tar_mutator.o
fuzz_whiteouts := $(fuzz_obj)/fuzz/whiteouts.o $(fuzz_obj)/fuzz/tree_model.o

fuzz: $(fuzz_targets:%=$(fuzz_out)/%)

.SECONDEXPANSION:
$(fuzz_targets:%=$(fuzz_out)/%): $(fuzz_out)/%: $$(fuzz_$$*) $(fuzz_support) | $(fuzz_out)
	$(fuzz_cxx) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LDLIBS)

$(fuzz_obj)/%.o: %.cc Makefile fuzz/fuzz.mk | $(fuzz_obj)/fuzz
	$(fuzz_cxx) $(fuzz_flags) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(fuzz_out) $(fuzz_obj)/fuzz:
	mkdir -p $@

-include $(wildcard $(fuzz_obj)/*.d $(fuzz_obj)/fuzz/*.d)

.PHONY: fuzz
