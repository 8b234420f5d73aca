# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds a kernel of our own configuration from the unpacked source: shared by build-uml and
# build-lean. Sourced after common.sh.

# kernel_configure SOURCE OBJECTS FRAGMENT [ARCH=…]: tinyconfig with the fragment merged over it. Each
# line of the fragment must have taken effect: a renamed option must not vanish silently.
kernel_configure()
{
	local source=$1 objects=$2 fragment=$3 line missing=
	shift 3
	make -C "$source" O="$objects" "$@" tinyconfig
	(cd "$source" && env "$@" scripts/kconfig/merge_config.sh -m -O "$objects" "$objects/.config" "$fragment")
	make -C "$source" O="$objects" "$@" olddefconfig
	while read -r line; do
		case $line in
		CONFIG_*=n) grep -q "^${line%=n}=" "$objects/.config" && missing="$missing $line" ;;
		CONFIG_*) grep -qxF "$line" "$objects/.config" || missing="$missing $line" ;;
		esac
	done <"$fragment"
	[ -z "$missing" ] || die "options without effect in ${fragment##*/}:$missing"
}

# kernel_build SOURCE OBJECTS TARGETS...: at low priority, as other work shares the machine.
kernel_build()
{
	local source=$1 objects=$2
	shift 2
	nice -n 19 make -C "$source" O="$objects" -j"$(nproc)" "$@"
}

# What an external module build never opens.
kernel_drop_objects()
{
	find "$1" \( -name '*.o' -o -name '*.a' -o -name '.*.cmd' -o -name '*.o.d' \) \
		! -path "$1/scripts/*" ! -path "$1/tools/*" ! -name module.lds -delete
}
