// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACPI tables: checksums, links between the tables, limits. When VHM_ACPI_DUMP names a
 * directory the tables are left there for iasl, which the test's driver runs.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../userlib/devices/acpi.h"
#include "../../userlib/devices/aml.h"

#define GPA	0xe0000u

static uint8_t tables[VDEV_ACPI_MAX_BYTES];
static size_t used;

static const struct vdev_acpi_config machine = {
	.gpa = GPA,
	.cpu_count = 4,
	.ioapic_gpa = 0xfec00000,
	.uart_port = 0x3f8,
	.uart_irq = 4,
	.rtc_port = 0x70,
	.rtc_irq = 8,
};

static uint64_t get(const uint8_t *from, unsigned int bytes)
{
	uint64_t value = 0;

	memcpy(&value, from, bytes);
	return value;
}

static uint8_t sum(const uint8_t *from, size_t bytes)
{
	uint8_t total = 0;

	while (bytes--)
		total += *from++;
	return total;
}

/* The table at an address: inside the buffer, with a right length, signature and checksum. */
static const uint8_t *table_at(uint64_t gpa, const char *signature)
{
	const uint8_t *table = tables + (gpa - GPA);
	uint64_t bytes;

	CHECK(gpa >= GPA && gpa % 16 == 0 && gpa - GPA + 36 <= used);
	if (gpa < GPA || gpa - GPA + 36 > used)
		return NULL;
	bytes = get(table + 4, 4);
	CHECK(bytes >= 36 && gpa - GPA + bytes <= used);
	if (gpa - GPA + bytes > used)
		return NULL;
	CHECK(!memcmp(table, signature, 4));
	CHECK_EQUAL(sum(table, bytes), 0);
	return table;
}

static void dump(const uint8_t *table)
{
	const char *directory = getenv("VHM_ACPI_DUMP");
	char path[512];
	FILE *file;

	if (!directory || !table)
		return;
	snprintf(path, sizeof(path), "%s/%.4s.dat", directory, (const char *)table);
	file = fopen(path, "wb");
	CHECK(file);
	if (!file)
		return;
	CHECK_EQUAL(fwrite(table, 1, get(table + 4, 4), file), get(table + 4, 4));
	fclose(file);
}

static void check_fadt(const uint8_t *fadt)
{
	const uint8_t *dsdt;

	CHECK_EQUAL(get(fadt + 4, 4), 276);
	CHECK_EQUAL(get(fadt + 40, 4), get(fadt + 140, 8));
	CHECK(get(fadt + 112, 4) & 1 << 20);	/* hardware-reduced */
	CHECK(get(fadt + 112, 4) & 1 << 10);	/* has a reset register */
	CHECK_EQUAL(fadt[108], 0x32);		/* century */
	CHECK_EQUAL(fadt[109] & 2, 0);		/* no keyboard controller */
	CHECK_EQUAL(get(fadt + 120, 8), 0xcf9);
	CHECK_EQUAL(fadt[128], 6);
	CHECK_EQUAL(get(fadt + 248, 8), 0x600);
	CHECK_EQUAL(get(fadt + 260, 8), 0x601);
	dsdt = table_at(get(fadt + 140, 8), "DSDT");
	dump(dsdt);
}

static void check_madt(const uint8_t *madt, unsigned int cpus)
{
	size_t bytes = get(madt + 4, 4), at;
	unsigned int local = 0, io = 0;

	CHECK_EQUAL(get(madt + 36, 4), 0xfee00000);
	CHECK_EQUAL(get(madt + 40, 4), 0);	/* no PIC */
	for (at = 44; at + 2 <= bytes && madt[at + 1]; at += madt[at + 1]) {
		if (madt[at] == 0) {
			CHECK_EQUAL(madt[at + 3], local);
			CHECK_EQUAL(get(madt + at + 4, 4), 1);
			local++;
		} else if (madt[at] == 1) {
			CHECK_EQUAL(get(madt + at + 4, 4), 0xfec00000);
			CHECK_EQUAL(get(madt + at + 8, 4), 0);
			io++;
		}
	}
	CHECK_EQUAL(at, bytes);
	CHECK_EQUAL(local, cpus);
	CHECK_EQUAL(io, 1);
}

static void tables_are_linked(void)
{
	static const char *const signatures[] = { "FACP", "APIC", "SPCR" };
	const uint8_t *xsdt, *table[3];
	unsigned int i;

	CHECK_EQUAL(vdev_acpi_build(&machine, tables, sizeof(tables), &used), 0);
	CHECK(!memcmp(tables, "RSD PTR ", 8));
	CHECK_EQUAL(sum(tables, 20), 0);
	CHECK_EQUAL(sum(tables, 36), 0);
	CHECK_EQUAL(tables[15], 2);
	xsdt = table_at(get(tables + 24, 8), "XSDT");
	if (!xsdt)
		return;
	dump(xsdt);
	CHECK_EQUAL(get(xsdt + 4, 4), 36 + 3 * 8);
	for (i = 0; i < 3; i++) {
		table[i] = table_at(get(xsdt + 36 + 8 * i, 8), signatures[i]);
		dump(table[i]);
		if (!table[i])
			return;
	}
	check_fadt(table[0]);
	check_madt(table[1], 4);
	CHECK_EQUAL(get(table[2] + 44, 8), 0x3f8);
	CHECK_EQUAL(get(table[2] + 54, 4), 4);
}

static void every_number_of_cpus_fits(void)
{
	struct vdev_acpi_config config = machine;
	const uint8_t *xsdt, *madt;

	for (config.cpu_count = 1; config.cpu_count <= VDEV_ACPI_MAX_CPUS; config.cpu_count++) {
		CHECK_EQUAL(vdev_acpi_build(&config, tables, sizeof(tables), &used), 0);
		xsdt = table_at(get(tables + 24, 8), "XSDT");
		madt = xsdt ? table_at(get(xsdt + 44, 8), "APIC") : NULL;
		if (madt)
			check_madt(madt, config.cpu_count);
	}
}

static void devices_are_optional(void)
{
	struct vdev_acpi_config config = machine;
	const uint8_t *xsdt;

	config.uart_port = 0;
	config.rtc_port = 0;
	CHECK_EQUAL(vdev_acpi_build(&config, tables, sizeof(tables), &used), 0);
	xsdt = table_at(get(tables + 24, 8), "XSDT");
	CHECK(xsdt && get(xsdt + 4, 4) == 36 + 2 * 8);
	CHECK(xsdt && tables[get(xsdt + 36, 8) - GPA + 109] & 1 << 5);
}

static void impossible_machines_are_refused(void)
{
	struct vdev_acpi_config config = machine;

	config.cpu_count = 0;
	CHECK_EQUAL(vdev_acpi_build(&config, tables, sizeof(tables), &used), -EINVAL);
	config.cpu_count = 256;
	CHECK_EQUAL(vdev_acpi_build(&config, tables, sizeof(tables), &used), -EINVAL);
	config = machine;
	config.gpa = 0xe0008;
	CHECK_EQUAL(vdev_acpi_build(&config, tables, sizeof(tables), &used), -EINVAL);
	config.gpa = 0x100000000;
	CHECK_EQUAL(vdev_acpi_build(&config, tables, sizeof(tables), &used), -EINVAL);
	config = machine;
	config.uart_irq = 16;
	CHECK_EQUAL(vdev_acpi_build(&config, tables, sizeof(tables), &used), -EINVAL);
}

static void small_buffers_are_not_overrun(void)
{
	size_t full, room;
	uint8_t *small;

	CHECK_EQUAL(vdev_acpi_build(&machine, tables, sizeof(tables), &full), 0);
	for (room = 0; room <= full; room++) {
		small = malloc(room ? room : 1);	/* the address sanitizer guards its end */
		CHECK_EQUAL(vdev_acpi_build(&machine, small, room, &used),
			    room < full ? -ENOSPC : 0);
		free(small);
	}
}

/* Lengths of one, two and three bytes, at their limits, decoded again. */
static void package_lengths(void)
{
	static const size_t sizes[] = { 0, 1, 58, 59, 60, 100, 4088, 4089, 4090, 5000, 70000 };
	static uint8_t data[80000], body[80000];
	size_t i, mark, length, extra, byte;
	struct vdev_aml aml;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		vdev_aml_init(&aml, data, sizeof(data));
		mark = vdev_aml_begin_scope(&aml, "TEST");
		vdev_aml_bytes(&aml, body, sizes[i]);
		vdev_aml_end(&aml, mark);
		CHECK(!aml.overflow);
		CHECK_EQUAL(data[0], 0x10);
		extra = data[1] >> 6;
		length = extra ? data[1] & 15 : data[1] & 63;
		for (byte = 0; byte < extra; byte++)
			length |= (size_t)data[2 + byte] << (4 + 8 * byte);
		CHECK_EQUAL(length, aml.used - 1);
		CHECK_EQUAL(length, 1 + extra + 4 + sizes[i]);
		CHECK(!memcmp(data + 2 + extra, "TEST", 4));
	}
}

static void aml_objects(void)
{
	static const uint8_t wanted[] = {
		0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01,	/* PNP0501 */
		0x00, 0x01, 0x0a, 0x02, 0x0a, 0xff, 0x0b, 0x00, 0x01,
		0x0c, 0x00, 0x00, 0x01, 0x00,
		0x0e, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	};
	static const uint64_t integers[] = { 0, 1, 2, 0xff, 0x100, 0x10000, 0x100000000 };
	uint8_t data[64];
	struct vdev_aml aml;
	size_t i;

	vdev_aml_init(&aml, data, sizeof(data));
	vdev_aml_name(&aml, "_HID");
	vdev_aml_eisa_id(&aml, "PNP0501");
	for (i = 0; i < sizeof(integers) / sizeof(integers[0]); i++)
		vdev_aml_integer(&aml, integers[i]);
	CHECK_EQUAL(aml.used, sizeof(wanted));
	CHECK(!memcmp(data, wanted, sizeof(wanted)));
	vdev_aml_eisa_id(&aml, "PNP05");
	CHECK(aml.overflow);
}

const struct test acpi_tests[] = {
	{ "acpi: tables are linked and sum to zero", tables_are_linked },
	{ "acpi: every number of CPUs fits", every_number_of_cpus_fits },
	{ "acpi: devices are optional", devices_are_optional },
	{ "acpi: impossible machines are refused", impossible_machines_are_refused },
	{ "acpi: small buffers are not overrun", small_buffers_are_not_overrun },
	{ "acpi: package lengths", package_lengths },
	{ "acpi: AML objects", aml_objects },
	{ NULL, NULL },
};
