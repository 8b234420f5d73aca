# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# bash completion for vhmrun(1): options, file names for those that take a file, and values where there are
# few. Needs bash alone, not the bash-completion package.

_vhmrun_words()	# CURRENT WORDS
{
	mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1")
}

_vhmrun()
{
	local current=${COMP_WORDS[COMP_CWORD]}
	local option=${COMP_WORDS[COMP_CWORD - 1]}

	# "--memory=2" comes as three words.
	if [[ $current == = ]]; then
		current=
	elif [[ $option == = ]]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi

	case $option in
	-k | --kernel | -i | --initrd | -f | --flat | --gdb | *,file)
		compopt -o filenames 2>/dev/null || true	# outside of a completion
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		;;
	--x2apic | --pv) _vhmrun_words "$current" 'on off' ;;
	-m | --memory) _vhmrun_words "$current" '128M 256M 512M 1G 2G 4G 1G,hugepages=2M
		1G,populate 1G,file= 1G,shared' ;;
	-c | --cpus) _vhmrun_words "$current" '1 2 4' ;;
	-a | --append) _vhmrun_words "$current" 'console=ttyS0' ;;
	--flat-address) COMPREPLY=() ;;
	*)
		_vhmrun_words "$current" '--kernel --initrd --append --flat --flat-address --memory
			--cpus --x2apic --pv --verbose --debug-exits --gdb --help --version'
		;;
	esac
}

complete -F _vhmrun vhmrun
