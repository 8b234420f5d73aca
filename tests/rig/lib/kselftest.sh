# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs programs of tests/kselftest/ in a host, and turns their TAP into verdicts of test-all.
# Sourced by suites, after suite.sh.

# Static programs, the same for every host; once, though several cases run at the same time.
build_kselftest()
{
	local out=$VHM_OUT/kselftest

	mkdir -p "$out"
	(
		flock 9
		make -s -C "$TOP/tests/kselftest" OUTPUT="$out" all
	) 9>"$out/.lock" >&2
	echo "$out"
}

# TAP on standard input: a verdict for each line, and one more for a program that stopped early.
verdicts()
{
	awk '
	function finish() {
		if (program != "" && seen != plan)
			print "@fail " program " (" seen + 0 " of " plan + 0 " results)"
		program = ""
	}
	/^# program / { finish(); program = $3; seen = 0; plan = -1; next }
	/^1\.\.[0-9]+/ { plan = substr($1, 4) + 0; next }
	/^ok [0-9]+ # SKIP/ { seen++; sub(/^ok [0-9]+ # SKIP */, ""); print "@skip " program ": " $0; next }
	/^ok [0-9]+ / { seen++; sub(/^ok [0-9]+ /, ""); print "@pass " program ": " $0; next }
	/^not ok [0-9]+ / { seen++; sub(/^not ok [0-9]+ /, ""); print "@fail " program ": " $0; next }
	/^# +RUN |^# +OK |^TAP version|^# Starting|^# Totals/ { next }
	{ print }
	END { finish() }'
}

# programs FLAVOUR OPTIONS... -- PROGRAM...: in one boot, of HOST_SECONDS at most.
programs()
{
	local flavour=$1 out program script status=0 files=() options=()
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	out=$(build_kselftest)
	script="$VHM_LOGS/run"
	for program in "$@"; do
		files+=(--file "$out/$program")
		printf 'echo "# program %s"\n./%s\n' "$program" "$program"
	done >"$script"
	# "not ok" is what counts: a program's status says no more.
	echo 'echo "# program"; exit 0' >>"$script"
	on_host "$flavour" "${options[@]}" --timeout "${HOST_SECONDS:-580}" "${files[@]}" --file "$script":run -- sh run \
		>"$VHM_LOGS/tap" || status=$?
	verdicts <"$VHM_LOGS/tap"
	return "$status"
}
