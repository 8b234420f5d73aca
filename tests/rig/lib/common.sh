# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What every script of the rig shares: the cache's place, messages, progress,
# locks, and a private apt configuration.
#
# Owns $VHM_CACHE (default ~/.cache/vhm), which lies outside the checkout and may be
# deleted at any time: everything in it can be made again. Never touches the machine's
# own apt configuration, and writes nothing into the checkout.
#
# Sourced, not run. The sourcing script has set -eu.

VHM_CACHE=${VHM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vhm}
export VHM_CACHE
# shellcheck disable=SC2034 # for the scripts that source this file
RIG=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$VHM_CACHE/log"

# say TEXT: one line for the person who waits. Standard output is kept for results.
say() { printf '%s\n' "$*" >&2; }

# die TEXT: one clear line, then a non-zero status.
die()
{
	if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
		printf '\033[31m%s\033[0m\n' "${0##*/}: $*" >&2
	else
		printf '%s\n' "${0##*/}: $*" >&2
	fi
	exit 1
}

# step TEXT COMMAND...: run a command that may take long. On a terminal a line counts the
# seconds; elsewhere one line at the start and one at the end. Output goes to a log, whose
# end is shown when the command fails.
step()
{
	local text=$1 log start pid status=0
	shift
	log=$VHM_CACHE/log/$(printf '%s' "$text" | tr -c 'A-Za-z0-9.' '-' | cut -c1-80).log
	start=$SECONDS
	[ -t 2 ] || say "$text ..."
	# In the background for three reasons: the seconds can be counted, "exit" ends only the
	# step, and set -e stays in force inside it, which it would not on the left of "||".
	# With a process group of its own, an interrupt ends the whole of it.
	set -m
	if [ -n "${V:-}" ]; then
		(set -e; "$@") >&2 </dev/null &
	else
		(set -e; "$@") >"$log" 2>&1 </dev/null &
	fi
	pid=$!
	set +m
	# shellcheck disable=SC2064 # the process of now is meant
	trap "kill -- -$pid 2>/dev/null; exit 130" INT TERM HUP
	while [ -t 2 ] && [ -z "${V:-}" ] && kill -0 "$pid" 2>/dev/null; do
		printf '\r%s ... %d s' "$text" $((SECONDS - start)) >&2
		sleep 0.5
	done
	wait "$pid" || status=$?
	trap - INT TERM HUP
	[ ! -t 2 ] || printf '\r\033[K' >&2
	if [ "$status" -ne 0 ]; then
		say "$text: FAILED after $((SECONDS - start)) s"
		if [ -z "${V:-}" ]; then
			tail -n 20 "$log" >&2
			say "(whole log: $log)"
		fi
		disk_full_hint
		return "$status"
	fi
	say "$text: $((SECONDS - start)) s"
}

# A full disk makes every tool fail in words of its own: name the cause.
disk_full_hint()
{
	local free_mib
	free_mib=$(df -Pm "$VHM_CACHE" 2>/dev/null | awk 'NR == 2 { print $4 }')
	if [ "${free_mib:-9999}" -lt 64 ]; then
		say "only $free_mib MiB are free on the disk of $VHM_CACHE: free some, or set VHM_CACHE to another disk"
	fi
}

trap '[ $? -eq 0 ] || disk_full_hint' EXIT

# with_lock NAME COMMAND...: one process at a time makes an artefact; the others wait, then
# find it made.
with_lock()
{
	local name=$1
	shift
	(
		exec 9>"$VHM_CACHE/$name.lock"
		if ! flock -n 9; then
			say "waiting for another process that makes $name"
			flock 9
		fi
		"$@"
	)
}

# remember FILE TEXT: writes it whole or not at all, as others may read it at any time.
remember()
{
	printf '%s\n' "$2" >"$1.$BASHPID"
	mv "$1.$BASHPID" "$1"
}

# need COMMAND=PACKAGE...: fail early, and name the package, if a tool is missing.
need()
{
	local pair missing=
	for pair in "$@"; do
		command -v "${pair%%=*}" >/dev/null 2>&1 || missing="$missing ${pair#*=}"
	done
	[ -z "$missing" ] || die "missing packages:$missing (tests/rig/install-packages installs them)"
}

# What apt of this machine calls the Debian archive: its URI and keyring, never ours.
debian_archive()
{
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)' \
		'Created-By: Packages' 2>/dev/null |
		awk -F'|' -v release="$1" '$2 == release && $3 == "main" {
			if ($4 == "Debian") { print $1; found = 1; exit }
			if (!guess) guess = $1
		} END { if (!found && guess) print guess }'
}

# private_apt COMMAND...: apt-get or apt-cache with our own sources and lists: this release with its
# updates and backports, and trixie's sources. Lists are fetched once a day.
private_apt()
{
	local tool=$1
	shift
	private_apt_lists || return
	APT_CONFIG=$VHM_CACHE/apt/apt.conf "$tool" "$@"
}

private_apt_lists()
{
	with_lock apt private_apt_lists_locked
}

private_apt_write_config()
{
	local root=$1 archive=$2 security=$3 codename=$4
	local by=/usr/share/keyrings/debian-archive-keyring.gpg

	mkdir -p "$root/lists/partial" "$root/archives/partial" "$root/parts"
	{
		echo "deb [signed-by=$by] $archive $codename main"
		echo "deb [signed-by=$by] $archive $codename-updates main"
		[ -z "$security" ] || echo "deb [signed-by=$by] $security $codename-security main"
		echo "deb [signed-by=$by] $archive $codename-backports main"
		echo "deb-src [signed-by=$by] $archive trixie main"
	} >"$root/sources.list"
	cat >"$root/apt.conf" <<-CONF
		Dir::State "$root";
		Dir::State::lists "$root/lists";
		Dir::State::status "/var/lib/dpkg/status";
		Dir::Cache "$root";
		Dir::Cache::archives "$root/archives";
		Dir::Etc::sourcelist "$root/sources.list";
		Dir::Etc::sourceparts "$root/parts";
		Dir::Etc::preferencesparts "$root/parts";
		APT::Sandbox::User "";
		Acquire::Languages "none";
		Acquire::Retries "3";
	CONF
}

private_apt_lists_locked()
{
	local root=$VHM_CACHE/apt archive security codename

	if [ -n "$(find "$root/updated" -mmin -1440 2>/dev/null)" ]; then
		return 0
	fi
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	[ "$codename" = bookworm ] || die "this needs Debian 12 (bookworm), found '${codename:-unknown}'"
	archive=$(debian_archive "$codename")
	security=$(debian_archive "$codename-security")
	[ -n "$archive" ] || die "apt on this machine has no source for Debian $codename main"
	private_apt_write_config "$root" "$archive" "$security" "$codename"
	step "Fetching package lists" env APT_CONFIG="$root/apt.conf" apt-get -q update || return
	touch "$root/updated"
}
