// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The machine. See machine.h.
 */
#include "machine.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../devices/acpi.h"
#include "message.h"

#define RESET_VECTOR_GPA	0xffff0ull
#define UART_PORT		0x3f8
#define UART_IRQ		4
#define RTC_IRQ			8
#define XSTATE_TILE_DATA	18

#ifndef ARCH_REQ_XCOMP_GUEST_PERM
#define ARCH_REQ_XCOMP_GUEST_PERM	0x1025
#endif

/* --------------------------------------------------------------- callbacks -- */

static int after_access(struct machine *machine)
{
	/* A positive number brings the vCPU thread out of its loop. */
	return machine_outcome(machine) != OUTCOME_NONE;
}

static int io_read(void *context, uint16_t port, unsigned int bytes, uint32_t *data)
{
	struct machine *machine = context;

	vdev_bus_read(&machine->bus, VDEV_PORT, port, bytes, data);
	return after_access(machine);
}

static int io_write(void *context, uint16_t port, unsigned int bytes, uint32_t data)
{
	struct machine *machine = context;

	vdev_bus_write(&machine->bus, VDEV_PORT, port, bytes, &data);
	return after_access(machine);
}

static int mmio_read(void *context, uint64_t gpa, unsigned int bytes, void *data)
{
	struct machine *machine = context;

	vdev_bus_read(&machine->bus, VDEV_MMIO, gpa, bytes, data);
	return after_access(machine);
}

static int mmio_write(void *context, uint64_t gpa, unsigned int bytes, const void *data)
{
	struct machine *machine = context;

	vdev_bus_write(&machine->bus, VDEV_MMIO, gpa, bytes, data);
	return after_access(machine);
}

static int eoi(void *context, uint32_t vector)
{
	struct machine *machine = context;

	vdev_ioapic_eoi(&machine->ioapic, (uint8_t)vector);
	return 0;
}

const struct vhm_callbacks machine_callbacks = {
	.io_read = io_read,
	.io_write = io_write,
	.mmio_read = mmio_read,
	.mmio_write = mmio_write,
	.eoi = eoi,
};

/* An interrupt that no local APIC accepts is the guest's affair, as on a real bus. */
static void send_msi(void *context, uint64_t address, uint32_t data)
{
	struct machine *machine = context;

	vhm_vm_msi(machine->vm, address, data);
}

static void set_rtc_timer(void *context, int64_t delay_ns)
{
	struct machine *machine = context;
	struct itimerspec when = { 0 };

	if (delay_ns >= 0) {
		when.it_value.tv_sec = delay_ns / 1000000000;
		/* All zeros would disarm it. */
		when.it_value.tv_nsec = delay_ns % 1000000000 + !delay_ns;
	}
	timerfd_settime(machine->rtc_fd, 0, &when, NULL);
}

static void power_request(void *context, enum vdev_power_request request)
{
	machine_end(context, request == VDEV_POWER_OFF ? OUTCOME_POWER_OFF : OUTCOME_RESET);
}

/* ----------------------------------------------------------------- outcome -- */

bool machine_end(struct machine *machine, enum outcome outcome)
{
	int none = OUTCOME_NONE;
	uint64_t one = 1;

	if (!atomic_compare_exchange_strong(&machine->outcome, &none, (int)outcome))
		return false;
	if (write(machine->ended_fd, &one, sizeof(one)) < 0)
		message("cannot wake the main thread: %s", strerror(errno));
	return true;
}

enum outcome machine_outcome(struct machine *machine)
{
	return (enum outcome)atomic_load(&machine->outcome);
}

/* ------------------------------------------------------------------ set-up -- */

static bool fail(enum vhm_step step, int error)
{
	message("%s", vhm_explain(step, error));
	return false;
}

static bool fail_system(const char *what, int error)
{
	message("cannot %s: %s", what, strerror(-error));
	return false;
}

static bool add_ram(struct machine *machine)
{
	const struct vhm_info *info = vhm_get_info(machine->vhm);
	const struct memory_map *map = &machine->memory_map;

	if (info->gpa_bits < 64 && memory_map_end(map) > 1ull << info->gpa_bits) {
		message("%" PRIu64 " MiB do not fit this processor's %u address bits: give less",
			machine->options->memory_bytes >> 20, info->gpa_bits);
		return false;
	}
	return ram_add(&machine->ram, machine->vm, map, machine->options);
}

static bool add_acpi_tables(struct machine *machine)
{
	const struct vdev_acpi_config config = {
		.gpa = MEMORY_FIRMWARE_GPA,
		.cpu_count = machine->options->cpu_count,
		.ioapic_gpa = VDEV_IOAPIC_GPA,
		.uart_port = UART_PORT,
		.uart_irq = UART_IRQ,
		.rtc_port = VDEV_RTC_PORT,
		.rtc_irq = RTC_IRQ,
	};
	uint8_t tables[VDEV_ACPI_MAX_BYTES];
	size_t bytes;
	int error = vdev_acpi_build(&config, tables, sizeof(tables), &bytes);

	if (!error)
		error = vhm_vm_write(machine->vm, MEMORY_FIRMWARE_GPA, tables, bytes);
	return error ? fail_system("build the ACPI tables", error) : true;
}

/*
 * Linux on a hardware-reduced machine without EFI resets by a jump to the BIOS, f000:fff0 in
 * real mode (its efi_reboot_required()). What a BIOS would do then is to use the reset control
 * register.
 */
static bool add_reset_vector(struct machine *machine)
{
	static const uint8_t code[] = {
		/* mov dx, port; mov al, value; out dx, al */
		0xba, VDEV_POWER_RESET_PORT & 0xff, VDEV_POWER_RESET_PORT >> 8,
		0xb0, VDEV_POWER_RESET_VALUE,
		0xee,
		/* hlt; jmp to hlt */
		0xf4,
		0xeb, 0xfd,
	};
	int error = vhm_vm_write(machine->vm, RESET_VECTOR_GPA, code, sizeof(code));

	return error ? fail_system("write the reset vector", error) : true;
}

static bool attach_devices(struct machine *machine)
{
	const struct vdev_ioapic_config ioapic = { .msi = send_msi, .context = machine };
	const struct vdev_rtc_config rtc = {
		.set_timer = set_rtc_timer,
		.context = machine,
		.irq = vdev_ioapic_irq(&machine->ioapic, RTC_IRQ),
	};
	int error;

	vdev_bus_init(&machine->bus);
	vdev_ioapic_init(&machine->ioapic, &ioapic);
	vdev_rtc_init(&machine->rtc, &rtc);
	vdev_power_init(&machine->power, power_request, machine);

	error = vdev_ioapic_attach(&machine->ioapic, &machine->bus, VDEV_IOAPIC_GPA);
	if (!error)
		error = vdev_rtc_attach(&machine->rtc, &machine->bus, VDEV_RTC_PORT);
	if (!error)
		error = vdev_power_attach(&machine->power, &machine->bus);
	if (!error)
		error = vdev_uart_attach(&machine->console.uart, &machine->bus, UART_PORT);
	return error ? fail_system("attach the devices", error) : true;
}

static int open_image(const char *what, const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		message("cannot open the %s '%s': %s", what, path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		message("the %s '%s' is not a regular file: give the path of an image", what, path);
		close(fd);
		return -1;
	}
	return fd;
}

static bool load_linux(struct machine *machine)
{
	const struct options *options = machine->options;
	struct vhm_boot boot = {
		.initrd_fd = -1,
		.command_line = options->command_line,
		.rsdp_gpa = MEMORY_FIRMWARE_GPA,
		.ranges = machine->memory_map.range,
		.range_count = machine->memory_map.range_count,
	};
	int error;

	boot.kernel_fd = open_image("kernel", options->kernel);
	if (boot.kernel_fd < 0)
		return false;
	if (options->initrd) {
		boot.initrd_fd = open_image("initial RAM disk", options->initrd);
		if (boot.initrd_fd < 0) {
			close(boot.kernel_fd);
			return false;
		}
	}
	error = vhm_load_linux(machine->vm, &boot, &machine->entry);
	if (boot.initrd_fd >= 0)
		close(boot.initrd_fd);
	close(boot.kernel_fd);
	if (error)
		message("'%s': %s", options->kernel, vhm_explain(VHM_STEP_LOAD, error));
	return !error;
}

/* In the first 64 KiB enter with CS 0, as a PC enters its boot sector; else with CS:0. */
static bool load_flat(struct machine *machine)
{
	const struct options *options = machine->options;
	const uint32_t gpa = options->flat_gpa;
	int error, fd = open_image("flat binary", options->flat);

	if (fd < 0)
		return false;
	error = vhm_load_flat(machine->vm, fd, gpa, NULL);
	close(fd);
	if (error) {
		message("'%s': %s", options->flat, vhm_explain(VHM_STEP_LOAD, error));
		return false;
	}
	machine->entry = (struct vhm_entry){
		.mode = VHM_ENTRY_REAL,
		.cs = gpa < 0x10000 ? 0 : gpa >> 4,
		.rip = gpa < 0x10000 ? gpa : 0,
		.rsp = 0x7c00,
	};
	return true;
}

static bool open_descriptors(struct machine *machine)
{
	machine->ended_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	machine->rtc_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (machine->ended_fd < 0 || machine->rtc_fd < 0)
		return fail_system("open an event descriptor", -errno);
	return true;
}

/* The guest gets AMX where the host has it: else this fails, and means nothing. */
static void ask_for_tiles(void)
{
	syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_GUEST_PERM, XSTATE_TILE_DATA);
}

bool machine_create(struct machine *machine, const struct options *options)
{
	int error;

	machine->options = options;
	memory_map_init(&machine->memory_map, options->memory_bytes);
	ram_init(&machine->ram);
	machine->ended_fd = -1;
	machine->rtc_fd = -1;
	error = console_init(&machine->console, vdev_ioapic_irq(&machine->ioapic, UART_IRQ),
			     options->kernel);
	if (error) {
		machine->options = NULL;
		return fail_system("set up the console", error);
	}
	if (!open_descriptors(machine) || !attach_devices(machine))
		return false;

	ask_for_tiles();
	error = vhm_open(&machine->vhm, NULL);
	if (error)
		return fail(VHM_STEP_OPEN, error);
	error = vhm_vm_create(machine->vhm, 0, &machine->vm);
	if (error)
		return fail(VHM_STEP_VM, error);
	if (!add_ram(machine))
		return false;
	if (options->flat)
		return load_flat(machine);
	return add_acpi_tables(machine) && add_reset_vector(machine) && load_linux(machine);
}

void machine_destroy(struct machine *machine)
{
	if (!machine->options)
		return;
	vhm_vm_destroy(machine->vm);
	ram_uninit(&machine->ram);
	vhm_close(machine->vhm);
	console_uninit(&machine->console);
	vdev_rtc_uninit(&machine->rtc);
	vdev_ioapic_uninit(&machine->ioapic);
	if (machine->rtc_fd >= 0)
		close(machine->rtc_fd);
	if (machine->ended_fd >= 0)
		close(machine->ended_fd);
}
