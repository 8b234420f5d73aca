# SPDX-License-Identifier: GPL-2.0-only
#
# VHM's targets for people. `make help` lists them.
#
# Everything that is built lands in $(O) (default: build); the sources stay clean. The module's
# object list is in Kbuild, the library's rules are in userlib/Makefile, and what the
# tests need besides the sources is kept in $VHM_CACHE (default: ~/.cache/vhm).

VERSION := 0.1.0
O       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
out     := $(abspath $(O))
top     := $(CURDIR)

ifeq ($(V),1)
Q :=
export V
else
Q := @
MAKEFLAGS += --no-print-directory
endif

module_folders := vhm vmx ept ioctl
module_dir     := $(out)/module
dkms_dir       := $(DESTDIR)/usr/src/vhm-$(VERSION)

# A kernel to build against is looked for only when a target needs it.
kdir = $(or $(KDIR),$(shell tests/rig/find-kdir))

.PHONY: all module userlib check test bench run install module_install userlib_install \
	dkms dkms_remove clean help
.DEFAULT_GOAL := all

all: module userlib ## the module and the library with its tools (default)

module: ## vhm.ko against KDIR (default: this machine's kernel, else the newest headers found)
	@mkdir -p $(module_dir)
	@# A farm of links, since the kernel's build writes beside the sources.
	@cp -rsf $(addprefix $(top)/,Kbuild $(module_folders)) $(module_dir)/
	@find $(module_dir) -xtype l -delete
	$(Q)kdir='$(kdir)'; test -f "$$kdir/Makefile" || { \
		echo "No kernel headers in '$$kdir': install linux-headers-$$(uname -r), or set KDIR" >&2; exit 1; }; \
		$(MAKE) -C "$$kdir" O= M=$(module_dir) modules

userlib: ## libvhm, vhmrun, examples
	$(Q)$(MAKE) -C userlib O=$(out)/userlib all

check: ## static checks, under a minute: style, sparse, warnings, documentation, layers, UAPI layout
	$(Q)tests/tools/check-all $(out)

test: ## every test there is; TIER=hw: on this machine's own VT-x instead of the emulated host
	$(Q)tests/rig/test-all $(out)

bench: ## VHM beside KVM, one table, into Documentation/performance.rst too; TIER=hw: on this machine
	$(Q)tests/bench/run --out $(out) --csv $(out)/bench.csv $(if $(filter hw,$(TIER)),,--document)

run: ## boots a stock Debian kernel as a guest, here or in the emulated host
	$(Q)tests/rig/run $(out)

install: userlib_install module_install ## the library, tools, man pages and module; DESTDIR, PREFIX

userlib_install: userlib
	$(Q)$(MAKE) -C userlib O=$(out)/userlib DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) install

module_install: module
	$(Q)$(MAKE) -C '$(kdir)' O= M=$(module_dir) CONFIG_MODULE_SIG_ALL= INSTALL_MOD_PATH=$(DESTDIR) modules_install
	$(Q)test -n '$(DESTDIR)' || depmod -a

dkms: ## hands the module to DKMS, which builds it for each kernel that is installed
	$(Q)install -d $(dkms_dir)
	$(Q)cp -r Kbuild dkms.conf COPYING $(module_folders) $(dkms_dir)/
	$(Q)test -n '$(DESTDIR)' || { dkms add -m vhm -v $(VERSION) && dkms install -m vhm -v $(VERSION); }

dkms_remove: ## takes it back
	$(Q)test -n '$(DESTDIR)' || dkms remove -m vhm -v $(VERSION) --all
	$(Q)rm -rf $(dkms_dir)

clean: ## removes what was built ($(O)); the cache of kernels and emulator stays
	$(Q)rm -rf $(module_dir) $(out)/userlib $(out)/tests $(out)/check $(out)/run $(out)/bench $(out)/bench.csv
	$(Q)rmdir $(out) 2>/dev/null || true

help: ## this list
	@awk -F':.*## ' '/^[a-z_]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo '  O=DIR       where to build (default: build)        V=1   show commands'
	@echo '  KDIR=DIR    kernel to build the module against     DESTDIR=, PREFIX=   for install'
