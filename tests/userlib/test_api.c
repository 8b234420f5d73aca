// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life cycle, errors and small commands: what the library tells the kernel, what it makes
 * of its answers, and that errno stays as it was.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "fake.h"
#include "test.h"

static unsigned int open_descriptors(void)
{
	unsigned int count = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void open_errors(void)
{
	struct vhm *vhm = NULL;
	unsigned int before = open_descriptors();

	fake_reset();
	errno = 77;
	CHECK_EQ(vhm_open(&vhm, "/nonexistent"), -ENOENT);
	CHECK_EQ(vhm_open(&vhm, "/"), -EISDIR);
	fake.fail_command = VHM_GET_INFO;
	fake.fail_errno = ENOTTY;
	CHECK_EQ(vhm_open(&vhm, "/dev/null"), -ENOTTY);
	CHECK_EQ(errno, 77);
	CHECK(!vhm);
	CHECK_EQ(open_descriptors(), before);
}

/* A module whose limits cannot be is refused before anything relies on them. */
static void impossible_info(void)
{
	struct vhm *vhm;

#define TRY(field, value, expected) do {		\
	fake_reset();					\
	fake.info.field = (value);			\
	CHECK_EQ(vhm_open(&vhm, "/dev/null"), expected);	\
	if (!(expected))				\
		vhm_close(vhm);				\
} while (0)
	TRY(abi_version, 1, 0);
	TRY(abi_version, 0, -EPROTO);
	TRY(abi_version, 2, -EPROTO);
	TRY(run_page_bytes, 0, -EPROTO);
	TRY(run_page_bytes, 4097, -EPROTO);
	TRY(run_page_bytes, 1u << 31, -EPROTO);
	TRY(max_slots, 0, -EPROTO);
	TRY(max_slots, UINT32_MAX, -EPROTO);
	TRY(max_vcpus, 0, -EPROTO);
	TRY(gpa_bits, 31, -EPROTO);
	TRY(gpa_bits, 64, -EPROTO);
	TRY(state_bytes, UINT32_MAX, -EPROTO);
	TRY(max_cpuid_entries, UINT32_MAX, -EPROTO);
#undef TRY
}

/* Each failing command gives its errno back, leaks nothing and leaves errno alone. */
static void failing_commands(void)
{
	unsigned int before = open_descriptors();
	const struct vhm_vcpu_control control = { .exceptions = 2 };
	struct vhm_stats stats;
	struct test_vm test;
	struct vhm_vm *vm;
	struct vhm_vcpu *vcpu;
	struct vhm_tracker *tracker;
	uint32_t value = 0;

	test_vm_create(&test);
	errno = 88;
	fake.fail_errno = EBUSY;
	fake.fail_command = VHM_VM_CREATE;
	CHECK_EQ(vhm_vm_create(test.vhm, 0, &vm), -EBUSY);
	fake.fail_command = VHM_VCPU_CREATE;
	CHECK_EQ(vhm_vcpu_create(test.vm, 1, &vcpu), -EBUSY);
	fake.fail_command = VHM_TRACKER_CREATE;
	CHECK_EQ(vhm_tracker_create(test.vm, &tracker), -EBUSY);
	fake.fail_command = VHM_VCPU_RUN;
	CHECK_EQ(vhm_vcpu_run(test.vcpu), -EBUSY);
	fake.fail_command = VHM_VCPU_KICK;
	CHECK_EQ(vhm_vcpu_kick(test.vcpu), -EBUSY);
	fake.fail_command = VHM_VCPU_NMI;
	CHECK_EQ(vhm_vcpu_nmi(test.vcpu), -EBUSY);
	fake.fail_command = VHM_VM_MSI;
	CHECK_EQ(vhm_vm_msi(test.vm, 0xfee00000, 0), -EBUSY);
	fake.fail_command = VHM_VCPU_GET_STATS;
	CHECK_EQ(vhm_vcpu_get_stats(test.vcpu, &stats), -EBUSY);
	fake.fail_command = VHM_VCPU_SET_CONTROL;
	CHECK_EQ(vhm_vcpu_set_control(test.vcpu, &control), -EBUSY);
	fake.fail_command = VHM_VCPU_APIC_ACCESS;
	CHECK_EQ(vhm_vcpu_apic_access(test.vcpu, 0, false, &value), -EBUSY);
	fake.fail_command = VHM_VCPU_SET_CPUID;
	CHECK_EQ(vhm_vcpu_set_cpuid(test.vcpu, NULL, 0), -EBUSY);
	fake.fail_command = VHM_GET_CPUID;
	CHECK_EQ(vhm_vcpu_set_cpuid(test.vcpu, NULL, 0), -EBUSY);
	CHECK_EQ(errno, 88);
	test_vm_destroy(&test);
	CHECK_EQ(open_descriptors(), before);
}

static void commands(void)
{
	const struct vhm_vcpu_control control = { .exceptions = 2, .breakpoint[3] = 5, .dr7 = 0x40 };
	struct vhm_stats stats;
	struct test_vm test;
	uint32_t value = 9;

	test_vm_create(&test);
	CHECK_EQ(vhm_get_info(test.vhm)->max_slots, 64);
	CHECK_EQ(vhm_vm_msi(test.vm, 0xfee01000, 0x4031), 1);
	CHECK_EQ(fake.msi.address, 0xfee01000);
	CHECK_EQ(fake.msi.data, 0x4031);
	CHECK_EQ(vhm_vcpu_run(test.vcpu), 0);
	CHECK_EQ(vhm_vcpu_kick(test.vcpu), 0);
	CHECK_EQ(vhm_vcpu_nmi(test.vcpu), 0);
	CHECK_EQ(fake.runs + fake.kicks + fake.nmis, 3);
	CHECK_EQ(vhm_vcpu_get_stats(test.vcpu, &stats), 0);
	CHECK_EQ(stats.count[VHM_STAT_EXITS], 42);
	CHECK_EQ(vhm_vcpu_set_control(test.vcpu, &control), 0);
	CHECK_EQ(fake.control.exceptions, 2);
	CHECK_EQ(fake.control.breakpoint[3], 5);
	CHECK_EQ(fake.control.dr7, 0x40);
	CHECK_EQ(vhm_vcpu_apic_access(test.vcpu, 0x80, true, &value), 0);
	CHECK_EQ(fake.apic[8], 9);
	CHECK_EQ(vhm_vcpu_apic_access(test.vcpu, 0x81, true, &value), -EINVAL);
	CHECK_EQ(vhm_vcpu_id(test.vcpu), 0);
	CHECK(vhm_vcpu_vm(test.vcpu) == test.vm);
	CHECK(vhm_vm_fd(test.vm) >= 0 && vhm_vcpu_fd(test.vcpu) >= 0);
	test_vm_destroy(&test);
}

static void host_before_vm(void)
{
	unsigned int before = open_descriptors();
	struct test_vm test;

	test_vm_create(&test);
	vhm_close(test.vhm);
	/* the VM still reaches the device: its vCPUs get their CPUID from there */
	CHECK_EQ(vhm_vcpu_set_cpuid(test.vcpu, NULL, 0), 0);
	CHECK_EQ(fake.cpuid_count, 4);
	vhm_vcpu_destroy(test.vcpu);
	vhm_vm_destroy(test.vm);
	CHECK_EQ(open_descriptors(), before);
	vhm_close(NULL);
	vhm_vm_destroy(NULL);
	vhm_vcpu_destroy(NULL);
	vhm_tracker_destroy(NULL);
}

static void injecting(void)
{
	struct test_vm test;
	struct vhm_run *run;
	uint32_t vector;

	test_vm_create(&test);
	run = vhm_vcpu_run_page(test.vcpu);
	for (vector = 0; vector < 40; vector++) {
		bool valid = vector < 32 && vector != 2;
		/* #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP */
		bool code = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 ||
			    vector == 21;
		bool payload = vector == 1 || vector == 14;

		run->retire_bytes = 3;
		memset(&run->inject, 0, sizeof(run->inject));
		CHECK_EQ(vhm_vcpu_inject(test.vcpu, vector, 0x1234, 0x5678),
			 valid ? 0 : -EINVAL);
		if (!valid)
			continue;
		CHECK_EQ(run->inject.flags, VHM_EVENT_VALID |
			 (code ? VHM_EVENT_HAS_ERROR_CODE : 0) |
			 (payload ? VHM_EVENT_HAS_PAYLOAD : 0));
		CHECK_EQ(run->inject.error_code, code ? 0x1234 : 0);
		CHECK_EQ(run->inject.payload, payload ? 0x5678 : 0);
		CHECK_EQ(run->retire_bytes, 0);
	}
	test_vm_destroy(&test);
}

static void cpuid_tables(void)
{
	struct vhm_cpuid_entry table[6], entry = { .leaf = 0x40000000, .eax = 1 };
	struct test_vm test;
	uint32_t count = 1;

	test_vm_create(&test);
	CHECK_EQ(vhm_get_cpuid(test.vhm, table, &count), -ENOSPC);
	CHECK_EQ(count, 4);
	count = 6;
	CHECK_EQ(vhm_get_cpuid(test.vhm, table, &count), 0);
	CHECK_EQ(count, 4);
	CHECK(vhm_cpuid_find(table, count, 1, 99) == &table[1]);
	CHECK(vhm_cpuid_find(table, count, 0xd, 1) == &table[3]);
	CHECK(!vhm_cpuid_find(table, count, 0xd, 2));
	CHECK(!vhm_cpuid_find(table, count, 7, 0));
	CHECK_EQ(vhm_cpuid_set_bit(table, count, 1, 0, VHM_CPUID_ECX, 31, false), 0);
	CHECK_EQ(table[1].ecx, 0);
	CHECK_EQ(vhm_cpuid_set_bit(table, count, 0xd, 1, VHM_CPUID_EBX, 3, true), 0);
	CHECK_EQ(table[3].ebx, 8);
	CHECK_EQ(vhm_cpuid_set_bit(table, count, 7, 0, VHM_CPUID_EBX, 0, true), -ENOENT);
	CHECK_EQ(vhm_cpuid_set_bit(table, count, 1, 0, VHM_CPUID_EBX, 32, true), -EINVAL);
	CHECK(!vhm_cpuid_register(&table[0], (enum vhm_cpuid_register)4));
	CHECK_EQ(vhm_cpuid_add(table, &count, 6, &entry), 0);
	entry.eax = 2;
	CHECK_EQ(vhm_cpuid_add(table, &count, 6, &entry), 0);
	CHECK_EQ(count, 5);
	CHECK_EQ(table[4].eax, 2);
	entry.leaf++;
	CHECK_EQ(vhm_cpuid_add(table, &count, 6, &entry), 0);
	entry.leaf++;
	CHECK_EQ(vhm_cpuid_add(table, &count, 6, &entry), -ENOSPC);
	CHECK_EQ(vhm_vcpu_set_cpuid(test.vcpu, table, count), 0);
	CHECK_EQ(fake.cpuid_count, 6);
	CHECK_EQ(vhm_vcpu_set_cpuid(test.vcpu, NULL, 1), -EINVAL);
	test_vm_destroy(&test);
}

/* Each step and error has a line, one line, and a name stays a name. */
static void words(void)
{
	uint32_t reason;
	int step, error;

	for (step = VHM_STEP_OPEN; step <= VHM_STEP_RUN; step++) {
		for (error = -200; error <= 0; error++) {
			const char *text = vhm_explain((enum vhm_step)step, error);

			REQUIRE(text);
			CHECK(*text && !strchr(text, '\n'));
		}
	}
	CHECK(strstr(vhm_explain(VHM_STEP_VM, -EBUSY), "rmmod kvm_intel"));
	CHECK(strstr(vhm_explain(VHM_STEP_OPEN, -ENOENT), "modprobe"));
	CHECK(strcmp(vhm_explain(VHM_STEP_OPEN, -EBUSY), vhm_explain(VHM_STEP_VM, -EBUSY)));
	for (reason = 0; reason <= VHM_EXIT_DENIED; reason++)
		CHECK(strcmp(vhm_exit_name(reason), "unknown"));
	CHECK(!strcmp(vhm_exit_name(VHM_EXIT_DENIED + 1), "unknown"));
	CHECK(!strcmp(vhm_exit_name(UINT32_MAX), "unknown"));
}

/* PKRU comes out of the XSAVE area where CR4.PKE says it counts. */
static void paging_of_a_vcpu(void)
{
	struct vhm_paging paging;
	struct test_vm test;

	test_vm_create(&test);
	fake.sregs.cr0 = 0x80000011;
	fake.sregs.cr3 = 0x5000;
	fake.sregs.cr4 = 0x20;
	fake.regs.rflags = 0x40002;
	CHECK_EQ(vhm_vcpu_get_paging(test.vcpu, &paging), 0);
	CHECK_EQ(paging.cr3, 0x5000);
	CHECK_EQ(paging.rflags, 0x40002);
	CHECK_EQ(paging.pkru, 0);
	fake.sregs.cr4 |= 1 << 22;
	CHECK_EQ(vhm_vcpu_get_paging(test.vcpu, &paging), 0);
	CHECK_EQ(paging.pkru, 0);
	test_vm_destroy(&test);
}

const struct test_case api_cases[] = {
	{ "api: errors of open", open_errors },
	{ "api: impossible limits", impossible_info },
	{ "api: failing commands", failing_commands },
	{ "api: commands", commands },
	{ "api: host closed before its VM", host_before_vm },
	{ "api: exceptions", injecting },
	{ "api: CPUID tables", cpuid_tables },
	{ "api: errors and exits in words", words },
	{ "api: paging of a vCPU", paging_of_a_vcpu },
	{ 0 },
};
