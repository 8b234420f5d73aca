# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the suites of suite.d/ share: which hosts a test runs on, and how to run it there.
# Sourced by a suite, which then calls suite_main with its arguments.
#
# A flavour is KERNEL-Ncpu: a kernel of the rig and a number of host CPUs. With TIER=hw there is one,
# "hw": this very machine, with its own VT-x.
set -euo pipefail

RIG=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VHM_CACHE=${VHM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vhm}
TOP=$(cd "$RIG/../.." && pwd)
VHM_OUT=${VHM_OUT:-$TOP/build}
VHM_LOGS=${VHM_LOGS:-$(mktemp -d)}
VHMRUN=$VHM_OUT/userlib/vhmrun/vhmrun
export RIG TOP VHM_OUT VHM_LOGS VHMRUN

# flavours KERNEL-Ncpu...: the given ones, or the real machine instead of all of them.
flavours()
{
	if [ "${TIER:-}" = hw ]; then
		echo hw
	else
		printf '%s\n' "$@"
	fi
}

every_flavour()
{
	flavours 6.1-1cpu 6.1-2cpu 6.1-4cpu 6.12-1cpu 6.12-2cpu 6.12-4cpu lean-1cpu lean-2cpu lean-4cpu
}

# on_host FLAVOUR OPTIONS... -- COMMAND...: tests/rig/host, or its counterpart on this machine.
on_host()
{
	local flavour=$1 kernel cpus
	shift
	if [ "$flavour" = hw ]; then
		"$RIG/hw" --log "$VHM_LOGS/kernel.log" "$@"
		return
	fi
	kernel=${flavour%%-*}
	cpus=${flavour#*-}
	"$RIG/host" --kernel "$kernel" --cpus "${cpus%cpu}" --log "$VHM_LOGS/kernel.log" "$@"
}

# expect_status WANTED COMMAND...: anything else is a failure, said in one line.
expect_status()
{
	local wanted=$1 status=0
	shift
	"$@" || status=$?
	if [ "$status" -ne "$wanted" ]; then
		echo "expected status $wanted, got $status from: $*"
		return 1
	fi
}

# expect_output PATTERN COMMAND...: the command succeeds and a line of its output matches.
expect_output()
{
	local pattern=$1 output status=0
	shift
	output=$("$@" 2>&1) || status=$?
	printf '%s\n' "$output"
	if [ "$status" -ne 0 ]; then
		echo "status $status from: $*"
		return 1
	fi
	if ! grep -qE -- "$pattern" <<<"$output"; then
		echo "no line matches '$pattern'"
		return 1
	fi
}

suite_main()
{
	case ${1:-} in
	list) list ;;
	run) run "$2" ;;
	*)
		echo "usage: ${0##*/} list | run CASE" >&2
		exit 2
		;;
	esac
}
