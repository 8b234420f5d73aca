# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
#
# For scripts whose only argument is a directory, or that have none: --help prints the comment at
# their head, and no other option is taken for a directory. Sourced, not run.

case ${1:-} in
-h | --help)
	awk 'NR > 3 && !/^#/ { exit } NR > 3 { sub(/^# ?/, ""); print }' "$0"
	exit 0
	;;
-*)
	echo "${0##*/}: unknown option '$1'; see ${0##*/} --help" >&2
	exit 2
	;;
esac
