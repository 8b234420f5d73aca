# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A stock Debian guest under the stress of tests/guest: what it is booted with, and what it must have
# said at its end. Sourced by suites, after suite.sh; what the guest prints lies in $VHM_LOGS/guest.

# In the emulator the guest's own check of its page tables takes as long as the rest of its boot. A guest
# that finds a fault in itself says so and ends.
STRESS_APPEND='console=ttyS0 cryptomgr.notests=1 rodata=off pti=off loglevel=6 oops=panic panic=-1'
export STRESS_APPEND
# What a guest says when its time is wrong, beside all that is trouble on a host. Not that an interrupt
# took long: the host may take the CPU away in the middle of it.
BAD_TIME='clocksource.*(unstable|skewed)|Marking .*unstable|tick-stop error'
BAD_TIME+='|TSC.*(warp|unsynchronized|mismatch)|rcu:.*(jiffies|stall|starved)|timer.*(lost|not (work|connected))'

# build_guest_tools TARGET...: once, though several cases run at the same time. Prints the directory.
build_guest_tools()
{
	local out=$VHM_OUT/guest

	mkdir -p "$out"
	(
		flock 9
		make -s -C "$TOP/tests/guest" OUTPUT="$out" USERLIB="$VHM_OUT/userlib" "$@"
	) 9>"$out/.lock" >&2
	echo "$out"
}

# stress_initramfs SECONDS STRESS: writes $VHM_LOGS/initrd
stress_initramfs()
{
	"$RIG/guest-initramfs" "$VHM_LOGS/initrd" "
		/stress --seconds $1; echo STATUS \$?
		grep -E '(LOC|RES|CAL|TLB):' /proc/interrupts
		echo LOG; dmesg -r | grep -v '^<[67]>'; echo END" "$2"
}

log_is_clean()
{
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$RIG/boot python3 - "$VHM_LOGS/guest" "$BAD_TIME" <<'EOF'
import re
import sys
import kernel_log

with open(sys.argv[1], encoding="utf-8", errors="replace") as f:
    lines = f.read().splitlines()
bad = kernel_log.trouble(lines) + [line for line in lines if re.search(sys.argv[2], line)]
print("".join(f"the guest's log: {line}\n" for line in bad), end="")
sys.exit(bool(bad) or "END" not in lines)
EOF
}

# The guest's verdict on itself, its status and its kernel's log.
stress_passed()
{
	local status=0

	grep -qE '^stress: ok, [0-9]+ operations$' "$VHM_LOGS/guest" || { echo "no good verdict"; status=1; }
	grep -qx 'STATUS 0' "$VHM_LOGS/guest" || { echo "no good status"; status=1; }
	log_is_clean || { echo "the guest's log is not clean, or not whole"; status=1; }
	return "$status"
}
