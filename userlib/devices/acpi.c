// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * ACPI tables. See acpi.h. Section numbers are of the ACPI specification 6.4; the layout of the
 * SPCR is Microsoft's ("Serial Port Console Redirection Table", revision 2).
 */
#include "acpi.h"

#include <errno.h>
#include <string.h>

#include "aml.h"
#include "power.h"
#include "rtc.h"
#include "uart.h"

/* 5.2.3.2, "Generic Address Structure" */
struct generic_address {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_bytes_lg2_plus_1;
	uint64_t address;
} __attribute__((packed));

#define SPACE_PORT	1

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t bytes;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

#define RSDP_FIRST_PART	20

/* 5.2.6, "System Description Table Header" */
struct table_header {
	char signature[4];
	uint32_t bytes;
	uint8_t revision;
	uint8_t checksum;
	char oem[6];
	char oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

#define XSDT_ENTRIES	3

struct xsdt {
	struct table_header header;
	uint64_t entry[XSDT_ENTRIES];
} __attribute__((packed));

/* 5.2.9, "Fixed ACPI Description Table"; fields of hardware that is not there are left as bytes */
struct fadt {
	struct table_header header;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved_44;
	uint8_t profile;
	uint8_t no_fixed_hardware[50];
	uint16_t c2_latency;
	uint16_t c3_latency;
	uint8_t no_cache_flush[4];
	uint8_t no_duty_cycle[2];
	uint8_t day_alarm;
	uint8_t month_alarm;
	uint8_t century;
	uint16_t boot_architecture;
	uint8_t reserved_111;
	uint32_t flags;
	struct generic_address reset;
	uint8_t reset_value;
	uint16_t arm_boot_architecture;
	uint8_t minor_revision;
	uint64_t x_facs;
	uint64_t x_dsdt;
	struct generic_address no_x_fixed_hardware[8];
	struct generic_address sleep_control;
	struct generic_address sleep_status;
	uint64_t hypervisor_vendor;
} __attribute__((packed));

#define FADT_REVISION			6
#define FADT_MINOR			4
#define FADT_BOOT_LEGACY_DEVICES	(1u << 0)
#define FADT_BOOT_NO_VGA		(1u << 2)
#define FADT_BOOT_NO_RTC		(1u << 5)
#define FADT_WBINVD			(1u << 0)
#define FADT_PROC_C1			(1u << 2)
#define FADT_NO_FIXED_POWER_BUTTON	(1u << 4)
#define FADT_NO_FIXED_SLEEP_BUTTON	(1u << 5)
#define FADT_NO_FIXED_RTC_WAKE		(1u << 6)
#define FADT_RESET_REGISTER		(1u << 10)
#define FADT_HARDWARE_REDUCED		(1u << 20)
#define FADT_NO_C2			0xfff	/* us; more than 100: not there */
#define FADT_NO_C3			0xfff	/* us; more than 1000: not there */

/* 5.2.12, "Multiple APIC Description Table" */
struct madt {
	struct table_header header;
	uint32_t local_apic;
	uint32_t flags;
} __attribute__((packed));

struct madt_local_apic {
	uint8_t type;
	uint8_t bytes;
	uint8_t processor_uid;
	uint8_t apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_io_apic {
	uint8_t type;
	uint8_t bytes;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t first_interrupt;
} __attribute__((packed));

struct madt_local_apic_nmi {
	uint8_t type;
	uint8_t bytes;
	uint8_t processor_uid;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

#define MADT_LOCAL_APIC		0
#define MADT_IO_APIC		1
#define MADT_LOCAL_APIC_NMI	4
#define MADT_ENABLED		1
#define MADT_ALL_PROCESSORS	0xff
#define LOCAL_APIC_GPA		0xfee00000u

struct spcr {
	struct table_header header;
	uint8_t interface;
	uint8_t reserved_37[3];
	struct generic_address base;
	uint8_t interrupt_type;
	uint8_t pic_irq;
	uint32_t gsi;
	uint8_t baud;
	uint8_t parity;
	uint8_t stop_bits;
	uint8_t flow_control;
	uint8_t terminal;
	uint8_t language;
	uint16_t pci_device;
	uint16_t pci_vendor;
	uint8_t pci_bus;
	uint8_t pci_slot;
	uint8_t pci_function;
	uint32_t pci_flags;
	uint8_t pci_segment;
	uint8_t reserved_76[4];
} __attribute__((packed));

#define SPCR_16550		0
#define SPCR_IO_APIC		(1u << 1)
#define SPCR_115200		7
#define SPCR_ONE_STOP_BIT	1
#define SPCR_ANSI		3
#define SPCR_NO_PCI		0xffff

_Static_assert(sizeof(struct rsdp) == 36, "5.2.5.3");
_Static_assert(sizeof(struct table_header) == 36, "5.2.6");
_Static_assert(offsetof(struct fadt, flags) == 112, "5.2.9");
_Static_assert(offsetof(struct fadt, sleep_control) == 244, "5.2.9");
_Static_assert(sizeof(struct fadt) == 276, "5.2.9");
_Static_assert(sizeof(struct spcr) == 80, "SPCR");

/**
 * struct builder - the buffer while it fills
 * @config: the machine
 * @data: the buffer
 * @capacity: its size
 * @used: bytes in use
 */
struct builder {
	const struct vdev_acpi_config *config;
	uint8_t *data;
	size_t capacity;
	size_t used;
};

static uint8_t checksum(const void *data, size_t bytes)
{
	const uint8_t *byte = data;
	uint8_t sum = 0;

	while (bytes--)
		sum += *byte++;
	return (uint8_t)-sum;
}

static struct generic_address port_address(uint16_t port)
{
	return (struct generic_address){
		.space = SPACE_PORT,
		.bit_width = 8,
		.access_bytes_lg2_plus_1 = 1,
		.address = port,
	};
}

static struct table_header header(const char *signature, uint8_t revision)
{
	struct table_header head = {
		.revision = revision,
		.oem = { 'V', 'H', 'M', ' ', ' ', ' ' },
		.oem_table = { 'V', 'H', 'M', 'R', 'E', 'D', 'U', 'C' },
		.oem_revision = 1,
		.creator = { 'V', 'H', 'M', ' ' },
		.creator_revision = 1,
	};

	memcpy(head.signature, signature, sizeof(head.signature));
	return head;
}

/* Close the table at @start with its length and checksum. Returns its address, 0: no room. */
static uint64_t finish_table(struct builder *builder, size_t start, size_t bytes)
{
	struct table_header head;
	size_t end = (start + bytes + 15) & ~(size_t)15;

	if (end > builder->capacity)
		return 0;
	memcpy(&head, builder->data + start, sizeof(head));
	head.bytes = (uint32_t)bytes;
	memcpy(builder->data + start, &head, sizeof(head));
	head.checksum = checksum(builder->data + start, bytes);
	memcpy(builder->data + start, &head, sizeof(head));
	builder->used = end;
	return builder->config->gpa + start;
}

static uint64_t add_table(struct builder *builder, const void *table, size_t bytes)
{
	size_t start = builder->used;

	if (bytes > builder->capacity - start)
		return 0;
	memcpy(builder->data + start, table, bytes);
	return finish_table(builder, start, bytes);
}

static void put_device(struct vdev_aml *aml, const char *name, const char *id, uint16_t port,
		       uint8_t ports, int gsi)
{
	size_t device = vdev_aml_begin_device(aml, name);

	vdev_aml_name(aml, "_HID");
	vdev_aml_eisa_id(aml, id);
	vdev_aml_name(aml, "_UID");
	vdev_aml_integer(aml, 0);
	vdev_aml_name(aml, "_CRS");
	vdev_aml_resources(aml, port, ports, gsi);
	vdev_aml_end(aml, device);
}

static uint64_t add_dsdt(struct builder *builder)
{
	const struct vdev_acpi_config *config = builder->config;
	const struct table_header head = header("DSDT", 2);
	size_t start = builder->used, scope, package;
	struct vdev_aml aml;

	vdev_aml_init(&aml, builder->data + start, builder->capacity - start);
	vdev_aml_bytes(&aml, &head, sizeof(head));

	scope = vdev_aml_begin_scope(&aml, "\\_SB");
	if (config->uart_port)
		put_device(&aml, "COM1", "PNP0501", config->uart_port, VDEV_UART_PORTS,
			   config->uart_irq);
	if (config->rtc_port)
		put_device(&aml, "RTC0", "PNP0B00", config->rtc_port, VDEV_RTC_PORTS,
			   config->rtc_irq);
	vdev_aml_end(&aml, scope);

	/* 7.4.2, "\_Sx (System States)": values for the sleep type field */
	vdev_aml_name(&aml, "\\_S5");
	package = vdev_aml_begin_package(&aml, 4);
	vdev_aml_integer(&aml, VDEV_POWER_S5_TYPE);
	vdev_aml_integer(&aml, 0);
	vdev_aml_integer(&aml, 0);
	vdev_aml_integer(&aml, 0);
	vdev_aml_end(&aml, package);

	return aml.overflow ? 0 : finish_table(builder, start, aml.used);
}

static uint64_t add_fadt(struct builder *builder, uint64_t dsdt)
{
	const struct fadt fadt = {
		.header = header("FACP", FADT_REVISION),
		.dsdt = (uint32_t)dsdt,
		.c2_latency = FADT_NO_C2,
		.c3_latency = FADT_NO_C3,
		.century = builder->config->rtc_port ? VDEV_RTC_CENTURY : 0,
		.boot_architecture = FADT_BOOT_LEGACY_DEVICES | FADT_BOOT_NO_VGA |
				     (builder->config->rtc_port ? 0 : FADT_BOOT_NO_RTC),
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_FIXED_POWER_BUTTON |
			 FADT_NO_FIXED_SLEEP_BUTTON | FADT_NO_FIXED_RTC_WAKE |
			 FADT_RESET_REGISTER | FADT_HARDWARE_REDUCED,
		.reset = port_address(VDEV_POWER_RESET_PORT),
		.reset_value = VDEV_POWER_RESET_VALUE,
		.minor_revision = FADT_MINOR,
		.x_dsdt = dsdt,
		.sleep_control = port_address(VDEV_POWER_SLEEP_PORT),
		.sleep_status = port_address(VDEV_POWER_SLEEP_PORT + 1),
	};

	return add_table(builder, &fadt, sizeof(fadt));
}

/*
 * No interrupt source overrides: the interrupts of ISA devices arrive at the pins of the same
 * numbers, edge triggered and active high, which is what a system assumes.
 */
static uint64_t add_madt(struct builder *builder)
{
	const struct madt madt = {
		.header = header("APIC", 4),
		.local_apic = LOCAL_APIC_GPA,
	};
	const struct madt_io_apic io_apic = {
		.type = MADT_IO_APIC,
		.bytes = sizeof(io_apic),
		.id = builder->config->ioapic_id,
		.address = builder->config->ioapic_gpa,
	};
	const struct madt_local_apic_nmi nmi = {
		.type = MADT_LOCAL_APIC_NMI,
		.bytes = sizeof(nmi),
		.processor_uid = MADT_ALL_PROCESSORS,
		.lint = 1,
	};
	size_t start = builder->used;
	struct vdev_aml out;
	unsigned int cpu;

	vdev_aml_init(&out, builder->data + start, builder->capacity - start);
	vdev_aml_bytes(&out, &madt, sizeof(madt));
	for (cpu = 0; cpu < builder->config->cpu_count; cpu++) {
		const struct madt_local_apic local_apic = {
			.type = MADT_LOCAL_APIC,
			.bytes = sizeof(local_apic),
			.processor_uid = (uint8_t)cpu,
			.apic_id = (uint8_t)cpu,
			.flags = MADT_ENABLED,
		};

		vdev_aml_bytes(&out, &local_apic, sizeof(local_apic));
	}
	vdev_aml_bytes(&out, &io_apic, sizeof(io_apic));
	vdev_aml_bytes(&out, &nmi, sizeof(nmi));
	return out.overflow ? 0 : finish_table(builder, start, out.used);
}

static uint64_t add_spcr(struct builder *builder)
{
	const struct spcr spcr = {
		.header = header("SPCR", 2),
		.interface = SPCR_16550,
		.base = port_address(builder->config->uart_port),
		.interrupt_type = SPCR_IO_APIC,
		.gsi = builder->config->uart_irq,
		.baud = SPCR_115200,
		.stop_bits = SPCR_ONE_STOP_BIT,
		.terminal = SPCR_ANSI,
		.pci_device = SPCR_NO_PCI,
		.pci_vendor = SPCR_NO_PCI,
	};

	return add_table(builder, &spcr, sizeof(spcr));
}

static uint64_t add_xsdt(struct builder *builder, const uint64_t entry[XSDT_ENTRIES])
{
	struct xsdt xsdt = { .header = header("XSDT", 1) };
	size_t count = 0, i;

	for (i = 0; i < XSDT_ENTRIES; i++)
		if (entry[i])
			xsdt.entry[count++] = entry[i];
	return add_table(builder, &xsdt, sizeof(xsdt.header) + count * sizeof(xsdt.entry[0]));
}

static void write_rsdp(struct builder *builder, uint64_t xsdt)
{
	struct rsdp rsdp = {
		.signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
		.oem = { 'V', 'H', 'M', ' ', ' ', ' ' },
		.revision = 2,
		.bytes = sizeof(rsdp),
		.xsdt = xsdt,
	};

	rsdp.checksum = checksum(&rsdp, RSDP_FIRST_PART);
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	memcpy(builder->data, &rsdp, sizeof(rsdp));
}

int vdev_acpi_build(const struct vdev_acpi_config *config, void *buffer, size_t capacity,
		    size_t *bytes)
{
	struct builder builder = { .config = config, .data = buffer, .capacity = capacity };
	uint64_t entry[XSDT_ENTRIES] = { 0 };
	uint64_t dsdt, xsdt;

	if (!config->cpu_count || config->cpu_count > VDEV_ACPI_MAX_CPUS || config->gpa % 16 ||
	    config->gpa > UINT32_MAX - VDEV_ACPI_MAX_BYTES || config->uart_irq > 15 ||
	    config->rtc_irq > 15)
		return -EINVAL;
	builder.used = (sizeof(struct rsdp) + 15) & ~(size_t)15;
	if (builder.used > capacity)
		return -ENOSPC;
	memset(buffer, 0, capacity);

	dsdt = add_dsdt(&builder);
	if (!dsdt)
		return -ENOSPC;
	entry[0] = add_fadt(&builder, dsdt);
	entry[1] = add_madt(&builder);
	if (config->uart_port)
		entry[2] = add_spcr(&builder);
	if (!entry[0] || !entry[1] || (config->uart_port && !entry[2]))
		return -ENOSPC;
	xsdt = add_xsdt(&builder, entry);
	if (!xsdt)
		return -ENOSPC;
	write_rsdp(&builder, xsdt);
	*bytes = builder.used;
	return 0;
}
