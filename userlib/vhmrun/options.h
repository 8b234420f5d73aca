/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The command line. Owns nothing: strings are those of argv, which is changed where one of them is
 * a part of an argument.
 */
#ifndef VHMRUN_OPTIONS_H
#define VHMRUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * enum exit_status - what the program says to its caller; see vhmrun(1)
 * @STATUS_POWER_OFF: the guest switched itself off
 * @STATUS_ERROR: something on the host's side failed
 * @STATUS_USAGE: the command line is wrong
 * @STATUS_RESET: the guest asked for a reset
 * @STATUS_CRASH: the guest cannot go on: triple fault and the like
 * @STATUS_QUIT: the user quit with Ctrl-A x
 */
enum exit_status {
	STATUS_POWER_OFF	= 0,
	STATUS_ERROR		= 1,
	STATUS_USAGE		= 2,
	STATUS_RESET		= 3,
	STATUS_CRASH		= 4,
	STATUS_QUIT		= 5,
};

/**
 * struct options - the command line
 * @kernel: Linux kernel, or NULL
 * @flat: flat binary, or NULL; exactly one of the two is set
 * @initrd: initial RAM disk, or NULL
 * @command_line: the kernel's command line
 * @memory_bytes: guest memory, whole pages
 * @huge_page_bytes: size of the pages of the host's pool to take it from, 0: ordinary memory
 * @memory_file: file to make the memory of, or NULL
 * @memory_shared: the memory is shared: with @memory_file, or by a descriptor
 * @populate: map all memory before the guest starts
 * @flat_gpa: where to load and enter @flat
 * @cpu_count: vCPUs
 * @x2apic: let Linux use the local APIC's x2APIC mode
 * @paravirtual: offer the guest the paravirtual interface of KVM
 * @verbose: say what is done, and count exits
 * @debug_exits: report each exit to the VMM
 * @gdb: port or socket for a debugger, or NULL
 */
struct options {
	const char *kernel;
	const char *flat;
	const char *initrd;
	const char *command_line;
	const char *gdb;
	const char *memory_file;
	uint64_t memory_bytes;
	uint64_t huge_page_bytes;
	bool memory_shared;
	bool populate;
	uint32_t flat_gpa;
	unsigned int cpu_count;
	bool x2apic;
	bool paravirtual;
	bool verbose;
	bool debug_exits;
};

/**
 * options_parse - read the command line
 * @options: out
 * @argc: of main()
 * @argv: of main()
 *
 * Return: -1: go on; otherwise the program ends with this status, and has said why.
 */
int options_parse(struct options *options, int argc, char **argv);

#endif /* VHMRUN_OPTIONS_H */
