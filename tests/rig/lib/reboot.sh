# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The ways a host goes down with VMs alive. Sourced by suites, after suite.sh.
#
#   reboot            in order
#   emergency-restart at once (sysrq b)
#   panic             with panic=1 (sysrq c)
#   kexec             into a new kernel, in order
#   kdump             into a crash kernel, by a panic
#
# Each ends in a second boot, or the run fails. Kexec's new kernel is tests/hostevents/kexec_payload.c.

# shellcheck disable=SC2034 # for the suites
REBOOTS=(reboot emergency-restart panic kexec kdump)

# goes_down FLAVOUR WAY MODULE-OPTION...: with two VMs running.
goes_down()
{
	local flavour=$1 way=$2 command options=() payload=$VHM_LOGS/kexec_payload
	shift 2
	case $way in
	reboot) command='reboot -f' ;;
	emergency-restart) command='echo b >/proc/sysrq-trigger' ;;
	panic)
		command='echo c >/proc/sysrq-trigger'
		# The crash is asked for, and all that a kernel says of one.
		options=(--append panic=1 --allow .)
		;;
	kexec) command='./kexec_payload load && ./kexec_payload go' ;;
	kdump)
		command='./kexec_payload crash && echo c >/proc/sysrq-trigger'
		options=(--append crashkernel=32M --allow .)
		;;
	esac
	make -s -C "$TOP" O="$VHM_OUT" userlib >&2
	gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -s -o "$payload" "$TOP/tests/hostevents/kexec_payload.c"
	cat >"$VHM_LOGS/script" <<-SH
		printf '\\353\\376' >spin
		vhmrun --flat spin </dev/null &
		vhmrun --flat spin </dev/null &
		sleep 1
		[ "\$(pidof vhmrun | wc -w)" = 2 ] || exit 1
		$command
		# not every way waits for its end
		sleep 60
	SH
	on_host "$flavour" "$@" "${options[@]}" --reboots --timeout 280 --file "$VHMRUN" --file "$payload" \
		--file "$VHM_LOGS/script:script" -- sh script || return
	case $way in
	kexec | kdump) grep -a 'kexec: the new kernel runs' "$VHM_LOGS/kernel.log" ;;
	esac
}
