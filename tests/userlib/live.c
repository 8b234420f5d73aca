// SPDX-License-Identifier: GPL-2.0-only
/*
 * libvhm on the module: instructions on devices in guests that run, compared with the same
 * instructions on this processor; strings on ports, faults, kicks, state; trackers, and what
 * guest memory may be made of.
 *
 * Needs /dev/vhm. Guest code runs at CPL 0 without an IDT: an exception nobody asked for is
 * a triple fault and fails the case.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "insn_guest.h"
#include "test.h"

#define PAGE		4096u
#define CR0		0x80010033ull	/* PG, WP, NE, ET, MP, PE */
#define CR4		0x406a0ull	/* OSXSAVE, OSXMMEXCPT, OSFXSR, PGE, PAE */
#define EFER		0xd00ull	/* NXE, LMA, LME */
#define MOST_EXITS	100000u

static struct test_vm vm;

void test_vm_create(struct test_vm *test)
{
	int ret = vhm_open(&test->vhm, NULL);

	if (!ret)
		ret = vhm_vm_create(test->vhm, VHM_VM_EXIT_HLT, &test->vm);
	if (!ret)
		ret = vhm_vcpu_create(test->vm, 0, &test->vcpu);
	if (!ret)
		ret = vhm_vcpu_set_cpuid(test->vcpu, NULL, 0);
	if (ret) {
		printf("no VM: %s\n", vhm_explain(VHM_STEP_OPEN, ret));
		exit(2);
	}
}

void test_vm_destroy(struct test_vm *test)
{
	vhm_vcpu_destroy(test->vcpu);
	vhm_vm_destroy(test->vm);
	vhm_close(test->vhm);
}

/* Runs until HLT; false for any other end. */
static bool run_to_hlt(const struct vhm_callbacks *callbacks, void *context)
{
	struct vhm_run *run = vhm_vcpu_run_page(vm.vcpu);
	unsigned int i;

	for (i = 0; i < MOST_EXITS; i++) {
		int ret = vhm_vcpu_run(vm.vcpu);

		if (!ret)
			ret = vhm_vcpu_dispatch(vm.vcpu, callbacks, context);
		if (ret == VHM_DISPATCH_UNHANDLED && run->exit_reason == VHM_EXIT_HLT)
			return true;
		if (ret)
			return check_that(false, __FILE__, __LINE__,
					  "%d after exit %s, hardware %u, rip %#llx", ret,
					  vhm_exit_name(run->exit_reason), run->hardware_reason,
					  (unsigned long long)run->regs.rip);
	}
	return CHECK(i < MOST_EXITS);
}

/* ----------------------------------------------------------- instructions -- */

/* The XSAVE area of the vCPU, in a buffer the caller frees. */
static void *get_xsave(uint8_t **area, size_t *area_bytes, size_t *bytes)
{
	void *buffer = aligned_alloc(64, vhm_get_info(vm.vhm)->state_bytes + 64);
	const struct vhm_section *section;

	*bytes = vhm_get_info(vm.vhm)->state_bytes;
	if (vhm_vcpu_get_state(vm.vcpu, 1ull << VHM_SECTION_XSAVE, buffer, bytes)) {
		free(buffer);
		return NULL;
	}
	section = vhm_section_find(buffer, *bytes, VHM_SECTION_XSAVE);
	*area = (uint8_t *)buffer + sizeof(*section);
	*area_bytes = section ? section->bytes : 0;
	return buffer;
}

/* Copies the legacy area, the header and the AVX component both ways. */
static size_t common_bytes(size_t area_bytes)
{
	size_t bytes = guest_native.has_avx ? 832 : 576;

	return bytes < area_bytes ? bytes : area_bytes;
}

static bool set_vectors(void)
{
	size_t area_bytes, bytes;
	uint8_t *area;
	void *buffer = get_xsave(&area, &area_bytes, &bytes);
	bool good;

	if (!CHECK(buffer))
		return false;
	memcpy(area, guest_native.state->xsave, common_bytes(area_bytes));
	good = CHECK(vhm_vcpu_set_state(vm.vcpu, buffer, bytes) == 0);
	free(buffer);
	return good;
}

static void set_segments(struct vhm_sregisters *sregs, const struct instance *in)
{
	guest_segments(in, sregs);
	sregs->segment[VHM_SEGMENT_TR] = (struct vhm_segment){
		.limit = 0x67, .access_rights = 0x8b, .selector = 0x20,
	};
	sregs->segment[VHM_SEGMENT_LDTR] = (struct vhm_segment){ .access_rights = 0x10000 };
}

static bool set_registers(const struct instance *in)
{
	struct vhm_registers regs = { .rip = in->at - in->code_base, .rflags = in->rflags };
	struct vhm_sregisters sregs;
	struct vhm_xcr xcr = { .xcr0 = guest_native.has_avx ? 7 : 3 };
	bool good = CHECK(vhm_vcpu_get_sregisters(vm.vcpu, &sregs) == 0);

	set_segments(&sregs, in);
	sregs.cr0 = CR0;
	sregs.cr3 = GUEST_TABLES_GPA;
	sregs.cr4 = CR4;
	sregs.efer = EFER;
	memcpy(&regs, in->gpr, sizeof(in->gpr));
	good &= CHECK(vhm_vcpu_set_sregisters(vm.vcpu, &sregs) == 0);
	good &= CHECK(vhm_vcpu_set_section(vm.vcpu, VHM_SECTION_XCR, &xcr, sizeof(xcr)) == 0);
	return good & CHECK(vhm_vcpu_set_registers(vm.vcpu, &regs) == 0);
}

static bool compare(const struct instance *in)
{
	const struct vhm_run *run = vhm_vcpu_run_page(vm.vcpu);
	size_t area_bytes, bytes;
	uint8_t *area;
	void *buffer = get_xsave(&area, &area_bytes, &bytes);
	bool good = CHECK(buffer && area_bytes >= 576);

	if (good)
		good = guest_compare(in, &run->regs, area);
	free(buffer);
	return good & CHECK(run->regs.rip == in->at - in->code_base + in->code_bytes);
}

static bool run_instance(const struct instance *in)
{
	guest_prepare(in);
	if (!set_registers(in) || !set_vectors())
		return false;
	guest_run_native(in);
	if (run_to_hlt(&guest_callbacks, NULL) && compare(in))
		return true;
	instance_describe(in);
	return false;
}

static void run_templates(unsigned int code_bits, unsigned int rounds)
{
	unsigned int i, round;
	struct instance in;

	if ((vhm_get_info(vm.vhm)->xcr0 & 4) == 0)
		guest_native.has_avx = false;
	for (i = 0; i < template_count; i++) {
		for (round = 0; round < rounds; round++) {
			if (!instance_generate(&in, &guest_native, &templates[i], code_bits))
				break;
			if (!run_instance(&in))
				return;
		}
	}
}

static void instructions(unsigned int code_bits)
{
	if (!guest_open_native(code_bits))
		return;
	test_vm_create(&vm);
	guest_build(vm.vm);
	run_templates(code_bits, 6);
	test_vm_destroy(&vm);
}

static void instructions_64(void)
{
	instructions(64);
}

static void instructions_32(void)
{
	instructions(32);
}

static void instructions_16(void)
{
	instructions(16);
}

/* ------------------------------------------------------------ small guests -- */

#define CODE	0x1000u

struct seen {
	uint8_t text[64];
	unsigned int length;
	uint32_t next;
};

static int port_write(void *context, uint16_t port, unsigned int bytes, uint32_t data)
{
	struct seen *seen = context;

	(void)bytes;
	if (port == 0xe9 && seen->length < sizeof(seen->text))
		seen->text[seen->length++] = (uint8_t)data;
	return port == 0x604 ? 5 : 0;
}

static int port_read(void *context, uint16_t port, unsigned int bytes, uint32_t *data)
{
	struct seen *seen = context;

	(void)port;
	(void)bytes;
	*data = seen->next += 0x01010101;
	return 0;
}

static const struct vhm_callbacks port_callbacks = {
	.io_read = port_read, .io_write = port_write,
};

/* A guest in real mode with code at CODE and 1 MiB of memory */
static void begin_real(const char *code, size_t bytes)
{
	const struct vhm_entry entry = { .mode = VHM_ENTRY_REAL, .rip = CODE, .rsp = 0x8000 };

	test_vm_create(&vm);
	CHECK_EQ(vhm_vm_add_memory(vm.vm, 0, 1 << 20, 0, NULL), 0);
	CHECK_EQ(vhm_vm_write(vm.vm, CODE, code, bytes), 0);
	CHECK_EQ(vhm_vcpu_set_entry(vm.vcpu, &entry), 0);
}

#define BEGIN_REAL(code)	begin_real(code, sizeof(code) - 1)

static void port_strings(void)
{
	struct seen seen = { 0 };
	uint32_t values[3];

	BEGIN_REAL("\xba\xe9\x00"		/* mov dx, 0xe9 */
		   "\xbe\x00\x20"		/* mov si, 0x2000 */
		   "\xb9\x05\x00"		/* mov cx, 5 */
		   "\xf3\x6e"			/* rep outsb */
		   "\xbf\x00\x30"		/* mov di, 0x3000 */
		   "\xb9\x03\x00"		/* mov cx, 3 */
		   "\xf3\x66\x6d"		/* rep insd */
		   "\x66\xb8\xff\xff\xff\xff"	/* mov eax, -1 */
		   "\xec\x42\xed\xf4");		/* in al, dx; inc dx; in ax, dx; hlt */
	vhm_vm_write(vm.vm, 0x2000, "vhm!\n", 5);
	REQUIRE(run_to_hlt(&port_callbacks, &seen));
	CHECK_EQ(seen.length, 5);
	CHECK(!memcmp(seen.text, "vhm!\n", 5));
	vhm_vm_read(vm.vm, 0x3000, values, sizeof(values));
	CHECK_EQ(values[0], 0x01010101);
	CHECK_EQ(values[2], 0x03030303);
	CHECK_EQ(vhm_vcpu_run_page(vm.vcpu)->regs.rax, 0xffff0505);
	CHECK_EQ(vhm_vcpu_run_page(vm.vcpu)->regs.rdi, 0x300c);
	CHECK_EQ(vhm_vcpu_run_page(vm.vcpu)->regs.rcx, 0);
	test_vm_destroy(&vm);
}

static void stop_by_callback(void)
{
	struct seen seen = { 0 };
	struct vhm_run *run;

	BEGIN_REAL("\xba\x04\x06\xee\xf4");	/* mov dx, 0x604; out dx, al; hlt */
	run = vhm_vcpu_run_page(vm.vcpu);
	CHECK_EQ(vhm_vcpu_run(vm.vcpu), 0);
	CHECK_EQ(run->exit_reason, VHM_EXIT_IO);
	CHECK_EQ(vhm_vcpu_dispatch(vm.vcpu, &port_callbacks, &seen), 5);
	/* the access is complete: the guest goes on behind it */
	CHECK_EQ(vhm_vcpu_run(vm.vcpu), 0);
	CHECK_EQ(run->exit_reason, VHM_EXIT_HLT);
	test_vm_destroy(&vm);
}

/* Segment and page faults found by the library arrive in the guest's handlers. */
static void fault_in_real_mode(void)
{
	struct seen seen = { 0 };

	/* IVT entry 13 points at the handler, which tells where the fault was */
	BEGIN_REAL("\xba\xe9\x00\xbf\xff\xff"	/* 1000: mov dx, 0xe9; mov di, 0xffff */
		   "\x6d\xf4"			/* 1006: insw: across the limit; hlt */
		   "\x5b\xf4");			/* 1008: handler: pop bx; hlt */
	vhm_vm_write(vm.vm, 13 * 4, "\x08\x10\x00\x00", 4);
	REQUIRE(run_to_hlt(&port_callbacks, &seen));
	CHECK_EQ(vhm_vcpu_run_page(vm.vcpu)->regs.rip, 0x1009);
	CHECK_EQ(vhm_vcpu_run_page(vm.vcpu)->regs.rbx, 0x1006);
	test_vm_destroy(&vm);
}

static void *kick_later(void *context)
{
	struct vhm_vcpu *vcpu = context;

	usleep(50000);
	return vhm_vcpu_kick(vcpu) ? vcpu : NULL;
}

static void kick(void)
{
	pthread_t thread;
	struct vhm_run *run;
	void *failed;

	BEGIN_REAL("\xeb\xfe");			/* jmp to itself */
	run = vhm_vcpu_run_page(vm.vcpu);
	REQUIRE(!pthread_create(&thread, NULL, kick_later, vm.vcpu));
	CHECK_EQ(vhm_vcpu_run(vm.vcpu), 0);
	CHECK_EQ(run->exit_reason, VHM_EXIT_KICKED);
	CHECK_EQ(vhm_vcpu_dispatch(vm.vcpu, &port_callbacks, NULL), 0);
	pthread_join(thread, &failed);
	CHECK(!failed);
	/* a kick while it does not run is not lost */
	CHECK_EQ(vhm_vcpu_kick(vm.vcpu), 0);
	CHECK_EQ(vhm_vcpu_run(vm.vcpu), 0);
	CHECK_EQ(run->exit_reason, VHM_EXIT_KICKED);
	test_vm_destroy(&vm);
}

/* Everything that was read can be written, and reads the same afterwards. */
static void whole_state(void)
{
	size_t room, bytes, again;
	void *first, *second;

	BEGIN_REAL("\xf4");
	REQUIRE(run_to_hlt(&port_callbacks, NULL));
	room = vhm_get_info(vm.vhm)->state_bytes;
	first = aligned_alloc(64, (room + 63) & ~63ull);
	second = aligned_alloc(64, (room + 63) & ~63ull);
	bytes = room;
	CHECK_EQ(vhm_vcpu_get_state(vm.vcpu, 0, first, &bytes), 0);
	CHECK_EQ(vhm_sections_check(first, bytes), 0);
	CHECK_EQ(vhm_vcpu_set_state(vm.vcpu, first, bytes), 0);
	again = room;
	CHECK_EQ(vhm_vcpu_get_state(vm.vcpu, 0, second, &again), 0);
	CHECK_EQ(again, bytes);
	CHECK(vhm_section_find(first, bytes, VHM_SECTION_APIC));
	CHECK(!memcmp(vhm_section_find(first, bytes, VHM_SECTION_SREGISTERS),
		      vhm_section_find(second, again, VHM_SECTION_SREGISTERS),
		      sizeof(struct vhm_section) + sizeof(struct vhm_sregisters)));
	again = 8;
	CHECK_EQ(vhm_vcpu_get_state(vm.vcpu, 0, second, &again), -ENOSPC);
	CHECK_EQ(again, bytes);
	free(first);
	free(second);
	test_vm_destroy(&vm);
}

static void small_commands(void)
{
	const struct vhm_cpuid_entry leaf = { .leaf = 0x40000000 };
	struct vhm_stats stats;
	struct vhm_paging paging;
	uint32_t value = 0;

	BEGIN_REAL("\xf4");
	REQUIRE(run_to_hlt(&port_callbacks, NULL));
	CHECK_EQ(vhm_vcpu_get_stats(vm.vcpu, &stats), 0);
	CHECK(stats.count[VHM_STAT_EXIT_HLT] >= 1);
	CHECK_EQ(vhm_vcpu_apic_access(vm.vcpu, 0x30, false, &value), 0);
	CHECK(value & 0x10);			/* an integrated APIC's version */
	CHECK_EQ(vhm_vcpu_get_paging(vm.vcpu, &paging), 0);
	CHECK_EQ(paging.cr0 & 1, 0);
	CHECK_EQ(vhm_vcpu_nmi(vm.vcpu), 0);
	CHECK(vhm_vm_msi(vm.vm, 0xfee00000, 0x31) >= 0);
	/* once it has run, a vCPU takes only the table it has */
	CHECK_EQ(vhm_vcpu_set_cpuid(vm.vcpu, NULL, 0), 0);
	CHECK_EQ(vhm_vcpu_set_cpuid(vm.vcpu, &leaf, 1), -EBUSY);
	test_vm_destroy(&vm);
}

/* ------------------------------------------------------------------ memory -- */

static int add_page(void *context, const struct vhm_memory_range *run)
{
	uint64_t *pages = context;		/* bits of the first 64 */
	uint64_t page;

	for (page = run->gpa / PAGE; page < (run->gpa + run->bytes) / PAGE; page++)
		*pages |= page < 64 ? 1ull << page : 0;
	return 0;
}

static uint64_t pages_written(struct vhm_tracker *tracker)
{
	uint64_t pages = 0;

	CHECK_EQ(vhm_tracker_for_each(tracker, 0, 0, add_page, &pages), 0);
	return pages;
}

/* The guest's writes, those of its instructions that the library performs, and the VMM's. */
static void tracker(void)
{
	struct vhm_tracker *tracker, *second;
	struct seen seen = { 0 };
	uint64_t bitmap = 0, pages = 0, list[64], count = 64, done;

	BEGIN_REAL("\xa3\x00\x20"		/* mov [0x2000], ax */
		   "\xba\xe9\x00"		/* mov dx, 0xe9 */
		   "\xbf\xfe\x3f"		/* mov di, 0x3ffe */
		   "\x66\x6d"			/* insd: across pages 3 and 4 */
		   "\xf4");			/* hlt */
	CHECK_EQ(vhm_tracker_create(vm.vm, &tracker), 0);
	CHECK_EQ(vhm_tracker_create(vm.vm, &second), 0);
	CHECK_EQ(pages_written(tracker), 0);
	REQUIRE(run_to_hlt(&port_callbacks, &seen));
	CHECK_EQ(pages_written(tracker), 1 << 2 | 1 << 3 | 1 << 4);
	CHECK_EQ(pages_written(tracker), 0);
	CHECK_EQ(vhm_vm_fill(vm.vm, 0x7fff, 1, 2), 0);
	CHECK_EQ(pages_written(tracker), 1 << 7 | 1 << 8);
	memset(vhm_vm_pointer(vm.vm, 0x9000, 4), 1, 4);
	CHECK_EQ(pages_written(tracker), 0);
	CHECK_EQ(vhm_vm_note_written(vm.vm, 0x9000, 4), 0);
	CHECK_EQ(vhm_tracker_harvest(tracker, 0, 64 * PAGE, &bitmap, &pages), 0);
	CHECK_EQ(bitmap, 1 << 9);
	CHECK_EQ(pages, 1);
	CHECK_EQ(vhm_tracker_harvest_list(second, 0, 1 << 20, list, &count, &done), 0);
	CHECK_EQ(count, 6);
	CHECK_EQ(list[0], 2);
	CHECK_EQ(list[5], 9);
	CHECK_EQ(done, 1 << 20);
	vhm_tracker_destroy(second);
	vhm_tracker_destroy(tracker);
	test_vm_destroy(&vm);
}

static int deny_count;

static int note_write(void *context, uint64_t gpa, unsigned int bytes, const void *data)
{
	deny_count++;
	return vhm_vm_write(context, gpa, data, bytes);
}

/* A page that may only be read: its writes come here one by one, until they are allowed. */
static void denied_writes(void)
{
	static const char code[] = {
		"\xc6\x06\x34\x20\x11"		/* mov byte [0x2034], 0x11 */
		"\xc6\x06\x35\x20\x22"		/* mov byte [0x2035], 0x22 */
		"\xc6\x06\x36\x20\x33"		/* mov byte [0x2036], 0x33 */
		"\xf4"				/* hlt */
	};
	const struct vhm_callbacks callbacks = { .mmio_write = note_write };
	struct vhm_run *run;
	uint8_t value[3] = { 0 };

	begin_real(code, sizeof(code));
	run = vhm_vcpu_run_page(vm.vcpu);
	CHECK_EQ(vhm_vm_set_rights(vm.vm, 0x2000, PAGE, VHM_RIGHT_READ), 0);
	deny_count = 0;
	CHECK_EQ(vhm_vcpu_run(vm.vcpu), 0);
	REQUIRE(run->exit_reason == VHM_EXIT_DENIED);
	CHECK_EQ(run->mmio.gpa, 0x2034);
	CHECK_EQ(vhm_vcpu_dispatch(vm.vcpu, &callbacks, vm.vm), VHM_DISPATCH_UNHANDLED);
	CHECK_EQ(vhm_vcpu_redirect(vm.vcpu, &callbacks, vm.vm), 0);
	CHECK_EQ(deny_count, 1);
	/* the second one is not for the guest's memory, the third is allowed */
	CHECK_EQ(vhm_vcpu_run(vm.vcpu), 0);
	REQUIRE(run->exit_reason == VHM_EXIT_DENIED);
	CHECK_EQ(run->mmio.gpa, 0x2035);
	CHECK_EQ(vhm_vcpu_redirect(vm.vcpu, &(const struct vhm_callbacks){ 0 }, NULL), 0);
	CHECK_EQ(vhm_vcpu_run(vm.vcpu), 0);
	REQUIRE(run->exit_reason == VHM_EXIT_DENIED);
	CHECK_EQ(vhm_vm_set_rights(vm.vm, 0x2000, PAGE, VHM_RIGHT_READ | VHM_RIGHT_WRITE |
				   VHM_RIGHT_EXECUTE), 0);
	REQUIRE(run_to_hlt(&port_callbacks, NULL));
	CHECK_EQ(vhm_vm_read(vm.vm, 0x2034, value, sizeof(value)), 0);
	CHECK(!memcmp(value, "\x11\0\x33", 3));
	test_vm_destroy(&vm);
}

/* The guest's page 2 becomes what was page 5, between two of its instructions. */
static void changed_memory(void)
{
	static const char code[] = {
		"\xa0\x00\x20"			/* mov al, [0x2000] */
		"\xf4"				/* hlt */
		"\xa0\x00\x20"			/* mov al, [0x2000] */
		"\xf4"				/* hlt */
	};
	struct vhm_run *run;
	uint8_t *memory;

	begin_real(code, sizeof(code));
	run = vhm_vcpu_run_page(vm.vcpu);
	CHECK_EQ(vhm_vm_fill(vm.vm, 0x2000, 0x22, PAGE), 0);
	CHECK_EQ(vhm_vm_fill(vm.vm, 0x5000, 0x55, PAGE), 0);
	memory = vhm_vm_pointer(vm.vm, 0, PAGE);
	REQUIRE(memory);
	REQUIRE(run_to_hlt(&port_callbacks, NULL));
	CHECK_EQ(run->regs.rax & 0xff, 0x22);
	vhm_vcpu_retire(vm.vcpu);
	{
		const struct vhm_memory_change changes[] = {
			{ .gpa = 0 },
			{ .gpa = 0, .bytes = 2 * PAGE, .address = memory },
			{ .gpa = 0x2000, .bytes = PAGE, .address = memory + 0x5000 },
		};

		CHECK_EQ(vhm_vm_change_memory(vm.vm, changes, 3), 0);
	}
	REQUIRE(run_to_hlt(&port_callbacks, NULL));
	CHECK_EQ(run->regs.rax & 0xff, 0x55);
	test_vm_destroy(&vm);
}

/* A guest in real mode that increments what it finds at 0x2000, in memory of this kind. */
static void run_on(struct vhm_backing *backing, uint64_t bytes, uint64_t least_entries_2m)
{
	static const char code[] = "\xff\x06\x00\x20\xf4";	/* inc word [0x2000]; hlt */
	const struct vhm_entry entry = { .mode = VHM_ENTRY_REAL, .rip = CODE, .rsp = 0x8000 };
	struct vhm_mapped mapped;
	uint16_t value = 0;

	test_vm_create(&vm);
	CHECK_EQ(vhm_vm_add_backed_memory(vm.vm, 0, bytes, 0, backing, NULL), 0);
	CHECK_EQ(vhm_vm_write(vm.vm, CODE, code, sizeof(code)), 0);
	CHECK_EQ(vhm_vcpu_set_entry(vm.vcpu, &entry), 0);
	REQUIRE(run_to_hlt(&port_callbacks, NULL));
	CHECK_EQ(vhm_vm_read(vm.vm, 0x2000, &value, sizeof(value)), 0);
	CHECK_EQ(value, 0x7701);
	CHECK_EQ(vhm_vm_populate(vm.vm, 0, bytes, VHM_POPULATE_WRITE, NULL), 0);
	CHECK_EQ(vhm_vm_get_mapped(vm.vm, 0, bytes, &mapped), 0);
	CHECK(mapped.entries[1] >= least_entries_2m);
	test_vm_destroy(&vm);
}

static uint16_t word_in_file(int fd)
{
	uint16_t value = 0;

	CHECK_EQ(pread(fd, &value, sizeof(value), 0x2000), sizeof(value));
	return value;
}

static void file_as_memory(void)
{
	struct vhm_backing backing = { .kind = VHM_BACKING_FILE };
	const uint16_t start = 0x7700;

	backing.fd = open("/tmp/live-memory", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE(backing.fd >= 0);
	CHECK_EQ(ftruncate(backing.fd, 1 << 20), 0);
	CHECK_EQ(pwrite(backing.fd, &start, sizeof(start), 0x2000), sizeof(start));
	run_on(&backing, 1 << 20, 0);
	CHECK_EQ(word_in_file(backing.fd), 0x7700);
	run_on(&backing, 1 << 20, 0);
	backing.flags = VHM_BACKING_SHARED;
	run_on(&backing, 1 << 20, 0);
	CHECK_EQ(word_in_file(backing.fd), 0x7701);
	close(backing.fd);
	unlink("/tmp/live-memory");
}

static void set_pool(const char *pages)
{
	int fd = open("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0 && write(fd, pages, strlen(pages)) > 0);
	close(fd);
}

static void huge_pages(void)
{
	struct vhm_backing backing = { .kind = VHM_BACKING_MEMFD, .huge_page_bytes = 2 << 20 };
	const uint16_t start = 0x7700;
	int memfd;

	set_pool("0");
	test_vm_create(&vm);
	CHECK_EQ(vhm_vm_add_backed_memory(vm.vm, 0, 4 << 20, 0, &backing, NULL), -ENOMEM);
	set_pool("2");
	CHECK_EQ(vhm_vm_add_backed_memory(vm.vm, 0, 4 << 20, 0, &backing, NULL), 0);
	CHECK_EQ(vhm_vm_write(vm.vm, 0x2000, &start, sizeof(start)), 0);
	test_vm_destroy(&vm);
	/* its descriptor is a file on hugetlbfs, which knows the size itself */
	memfd = backing.fd;
	backing = (struct vhm_backing){
		.kind = VHM_BACKING_FILE, .flags = VHM_BACKING_SHARED, .fd = memfd,
	};
	/* the one with the code is of small ones on processors with iTLB multihit */
	run_on(&backing, 4 << 20, 1);
	CHECK_EQ(word_in_file(memfd), 0x7701);
	close(memfd);
	set_pool("0");
}

static const struct test_case live_cases[] = {
	{ "live: 64-bit instructions on a device", instructions_64 },
	{ "live: 32-bit instructions on a device", instructions_32 },
	{ "live: 16-bit instructions on a device", instructions_16 },
	{ "live: strings on ports", port_strings },
	{ "live: a callback stops the guest", stop_by_callback },
	{ "live: fault in real mode", fault_in_real_mode },
	{ "live: kick", kick },
	{ "live: whole state", whole_state },
	{ "live: small commands", small_commands },
	{ "live: tracker", tracker },
	{ "live: denied writes", denied_writes },
	{ "live: memory changed at once", changed_memory },
	{ "live: a file as memory", file_as_memory },
	{ "live: huge pages", huge_pages },
	{ 0 },
};

const struct test_case *const test_groups[] = { live_cases, NULL };
