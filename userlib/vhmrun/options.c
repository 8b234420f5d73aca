// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The command line. See options.h.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <libvhm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "../devices/acpi.h"
#include "memory_map.h"
#include "message.h"

#define DEFAULT_MEMORY		(256ull << 20)
#define LEAST_MEMORY		MEMORY_FIRMWARE_END
#define DEFAULT_FLAT_GPA	0x7c00u		/* where a PC loads its boot sector */
#define REAL_MODE_END		0x100000u
#define PAGE_MASK		0xfffull

enum {
	OPTION_FLAT_ADDRESS = 256,
	OPTION_X2APIC,
	OPTION_PV,
	OPTION_DEBUG_EXITS,
	OPTION_GDB,
	OPTION_VERSION,
};

static const char short_options[] = "k:i:a:m:c:f:vh";
static const struct option long_options[] = {
	{ "kernel",		required_argument,	NULL, 'k' },
	{ "initrd",		required_argument,	NULL, 'i' },
	{ "append",		required_argument,	NULL, 'a' },
	{ "memory",		required_argument,	NULL, 'm' },
	{ "cpus",		required_argument,	NULL, 'c' },
	{ "flat",		required_argument,	NULL, 'f' },
	{ "flat-address",	required_argument,	NULL, OPTION_FLAT_ADDRESS },
	{ "x2apic",		required_argument,	NULL, OPTION_X2APIC },
	{ "pv",			required_argument,	NULL, OPTION_PV },
	{ "debug-exits",	no_argument,		NULL, OPTION_DEBUG_EXITS },
	{ "gdb",		required_argument,	NULL, OPTION_GDB },
	{ "verbose",		no_argument,		NULL, 'v' },
	{ "help",		no_argument,		NULL, 'h' },
	{ "version",		no_argument,		NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

static const char help_text[] =
"Usage: vhmrun --kernel FILE [OPTION]...\n"
"       vhmrun --flat FILE [OPTION]...\n"
"Run a virtual machine with vhm.ko, its serial console on this terminal.\n"
"\n"
"  -k, --kernel FILE       Linux kernel: vmlinux or bzImage\n"
"  -i, --initrd FILE       initial RAM disk\n"
"  -a, --append TEXT       command line of the kernel, e.g. 'console=ttyS0'\n"
"  -f, --flat FILE         run a flat binary in real mode instead of a kernel\n"
"      --flat-address GPA  where to load and enter it (default 0x7c00)\n"
"  -m, --memory SIZE[,hugepages=2M|1G][,populate][,file=PATH][,shared]\n"
"                          guest memory: 256M, 2G, ...; a plain number counts MiB\n"
"                          (default 256M); from the host's pool of huge pages;\n"
"                          all of it before the guest starts; what a file holds,\n"
"                          which stays as it is unless it is shared\n"
"  -c, --cpus N            virtual CPUs (default 1)\n"
"      --x2apic=on|off     let Linux use the fast mode of the local APIC (default on)\n"
"      --pv=on|off         let Linux use KVM's paravirtual interface (default on)\n"
"  -v, --verbose           say what is done; exit counters at the end\n"
"      --debug-exits       report each exit to this program on stderr\n"
"      --gdb PORT|PATH     wait for GDB at this port of 127.0.0.1, or at a socket\n"
"  -h, --help              this text\n"
"      --version           version of the program\n"
"\n"
"Ctrl-A x quits, Ctrl-A h helps, Ctrl-A a sends Ctrl-A.\n"
"Exit status: 0 power-off, 1 error, 2 usage, 3 reset, 4 guest crashed, 5 quit,\n"
"128+N ended by signal N. See vhmrun(1).\n";

static int usage_error(void)
{
	message_raw("Try 'vhmrun --help'.\n");
	return STATUS_USAGE;
}

/* A size with a suffix, in bytes; a plain number counts MiB. False: not a size, or too large. */
static bool parse_size(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	unsigned int shift = 20;
	unsigned long long value;
	const char *suffix;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *text < '0' || *text > '9')
		return false;
	if (*end) {
		suffix = strchr(suffixes, *end >= 'a' ? *end - 'a' + 'A' : *end);
		if (!suffix)
			return false;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
		end++;
		if (*end == 'i' && end[1] == 'B')
			end += 2;
		if (*end)
			return false;
	}
	if (value > UINT64_MAX >> shift)
		return false;
	*bytes = (uint64_t)value << shift;
	return true;
}

static bool parse_number(const char *text, unsigned long least, unsigned long most,
			 unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 0);
	return !errno && end != text && !*end && *text >= '0' && *text <= '9' &&
	       *value >= least && *value <= most;
}

/* One word of --memory behind the size. */
static int parse_memory_word(struct options *options, const char *word)
{
	static const char file[] = "file=";

	if (!strcmp(word, "hugepages=2M")) {
		options->huge_page_bytes = 2ull << 20;
	} else if (!strcmp(word, "hugepages=1G")) {
		options->huge_page_bytes = 1ull << 30;
	} else if (!strcmp(word, "populate")) {
		options->populate = true;
	} else if (!strcmp(word, "shared")) {
		options->memory_shared = true;
	} else if (!strncmp(word, file, strlen(file)) && word[strlen(file)]) {
		options->memory_file = word + strlen(file);
	} else {
		message("--memory: '%s': give hugepages=2M, hugepages=1G, populate, file=PATH or "
			"shared", word);
		return STATUS_USAGE;
	}
	return -1;
}

/* @text: what is behind the size: words, a comma in front of each, which becomes their end. */
static int parse_memory_words(struct options *options, char *text)
{
	bool more = *text;

	while (more) {
		const char *word = text + 1;
		int status;

		text = strchrnul(word, ',');
		more = *text;
		*text = '\0';
		status = parse_memory_word(options, word);
		if (status >= 0)
			return status;
	}
	if (options->huge_page_bytes && options->memory_bytes % options->huge_page_bytes) {
		message("--memory: give a multiple of the %llu MiB of a huge page",
			(unsigned long long)(options->huge_page_bytes >> 20));
		return STATUS_USAGE;
	}
	return -1;
}

static uint64_t count_host_memory(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? UINT64_MAX : (uint64_t)info.totalram * info.mem_unit;
}

static int parse_memory(struct options *options, char *text)
{
	char *comma = strchrnul(text, ',');
	char size[32] = "";
	uint64_t host_bytes = count_host_memory();

	if ((size_t)(comma - text) < sizeof(size))
		memcpy(size, text, (size_t)(comma - text));
	if (!parse_size(size, &options->memory_bytes)) {
		message("--memory '%s' is not a size: give a number and K, M, G or T, such as 256M",
			text);
		return usage_error();
	}
	if (options->memory_bytes < LEAST_MEMORY) {
		message("--memory '%s' is too small: give at least 1M, for Linux about 64M", text);
		return STATUS_USAGE;
	}
	if (options->memory_bytes > host_bytes) {
		message("--memory '%s' is more than the %llu MiB of this machine: give less", text,
			(unsigned long long)(host_bytes >> 20));
		return STATUS_USAGE;
	}
	options->memory_bytes &= ~PAGE_MASK;
	options->huge_page_bytes = 0;
	options->populate = false;
	options->memory_file = NULL;
	options->memory_shared = false;
	return parse_memory_words(options, comma);
}

static int parse_cpus(struct options *options, const char *text)
{
	unsigned long value;

	if (!parse_number(text, 1, VDEV_ACPI_MAX_CPUS, &value)) {
		message("--cpus '%s': give a number from 1 to %d", text, VDEV_ACPI_MAX_CPUS);
		return STATUS_USAGE;
	}
	options->cpu_count = (unsigned int)value;
	return -1;
}

static int parse_flat_address(struct options *options, const char *text)
{
	unsigned long value;

	if (!parse_number(text, 0, REAL_MODE_END - 16, &value) || value % 16) {
		message("--flat-address '%s': give a multiple of 16 below 0x%x", text,
			REAL_MODE_END);
		return STATUS_USAGE;
	}
	options->flat_gpa = (uint32_t)value;
	return -1;
}

static int parse_switch(bool *value, const char *name, const char *text)
{
	if (strcmp(text, "on") && strcmp(text, "off")) {
		message("--%s '%s': give on or off", name, text);
		return STATUS_USAGE;
	}
	*value = !strcmp(text, "on");
	return -1;
}

static int print_and_exit(const char *text)
{
	fputs(text, stdout);
	if (fflush(stdout)) {
		message("cannot write to standard output: %s", strerror(errno));
		return STATUS_ERROR;
	}
	return 0;
}

static int print_version(void)
{
	char text[64];

	snprintf(text, sizeof(text), "vhmrun %d.%d\n", LIBVHM_VERSION_MAJOR, LIBVHM_VERSION_MINOR);
	return print_and_exit(text);
}

static int apply(struct options *options, int option, char *argument)
{
	switch (option) {
	case 'k':
		options->kernel = argument;
		return -1;
	case 'i':
		options->initrd = argument;
		return -1;
	case 'a':
		options->command_line = argument;
		return -1;
	case 'f':
		options->flat = argument;
		return -1;
	case 'm':
		return parse_memory(options, argument);
	case 'c':
		return parse_cpus(options, argument);
	case OPTION_FLAT_ADDRESS:
		return parse_flat_address(options, argument);
	case OPTION_X2APIC:
		return parse_switch(&options->x2apic, "x2apic", argument);
	case OPTION_PV:
		return parse_switch(&options->paravirtual, "pv", argument);
	case OPTION_DEBUG_EXITS:
		options->debug_exits = true;
		return -1;
	case OPTION_GDB:
		options->gdb = argument;
		return -1;
	case 'v':
		options->verbose = true;
		return -1;
	case 'h':
		return print_and_exit(help_text);
	case OPTION_VERSION:
		return print_version();
	default:
		return usage_error();
	}
}

static int check(const struct options *options)
{
	if (!options->kernel == !options->flat) {
		message("give either --kernel or --flat");
		return usage_error();
	}
	if (options->flat && (options->initrd || *options->command_line)) {
		message("--initrd and --append need --kernel");
		return usage_error();
	}
	return -1;
}

int options_parse(struct options *options, int argc, char **argv)
{
	int option, status;

	*options = (struct options){
		.command_line = "",
		.memory_bytes = DEFAULT_MEMORY,
		.flat_gpa = DEFAULT_FLAT_GPA,
		.cpu_count = 1,
		.x2apic = true,
		.paravirtual = true,
	};
	while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		status = apply(options, option, optarg);
		if (status >= 0)
			return status;
	}
	if (optind < argc) {
		message("unexpected argument '%s'", argv[optind]);
		return usage_error();
	}
	return check(options);
}
