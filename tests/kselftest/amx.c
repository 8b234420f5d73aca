// SPDX-License-Identifier: GPL-2.0-only
/*
 * AMX: a VMM that has asked the host may give its guests tiles; they survive whatever the host's
 * scheduler, other guests and the VMM's own tiles do meanwhile, and are part of the state. Without
 * the host's permission there are none.
 */
#define _GNU_SOURCE
#include <kselftest_harness.h>

#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emit.h"

#define ARCH_REQ_XCOMP_PERM		0x1023
#define ARCH_REQ_XCOMP_GUEST_PERM	0x1025
#define XTILE_DATA	18
#define XCR0_TILES	(3ull << 17)
#define XCR0_WITH_TILES	(XCR0_TILES | 3)
#define DISABLED	(1ull << XTILE_DATA)
#define MSR_XFD		0x1c4u
#define MSR_XFD_ERR	0x1c5u

#define GP	13
#define NM	7
#define NO_EVENT	(-1)

#define ROWS		16u
#define ROW_BYTES	64u
#define TILE_BYTES	(ROWS * ROW_BYTES)
#define ROUNDS		40u

/* Guest memory: the configuration, and a page for each tile */
#define CONFIG_GPA	LONG_DATA
#define TILE_GPA(n)	(LONG_DATA + 0x1000u * (1 + (n)))

struct tile_config {
	uint8_t palette, start_row, reserved[14];
	uint16_t bytes_per_row[16];
	uint8_t rows[16];
} __attribute__((aligned(64)));

static void fill_config(struct tile_config *config)
{
	*config = (struct tile_config) { .palette = 1 };
	for (int i = 0; i < 8; i++) {
		config->bytes_per_row[i] = ROW_BYTES;
		config->rows[i] = ROWS;
	}
}

/* Small numbers, different for each seed. */
static void fill_tile(uint8_t *tile, unsigned int seed)
{
	for (unsigned int i = 0; i < TILE_BYTES; i++)
		tile[i] = (i * 7 + i / ROW_BYTES + seed * 31) % 100;
}

static bool host_has_tiles(void)
{
	uint32_t eax, ebx, ecx, edx;

	__cpuid(1, eax, ebx, ecx, edx);
	if (!(ecx & bit_OSXSAVE))
		return false;
	asm volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	return (eax & XCR0_TILES) == XCR0_TILES;
}

static uint32_t get_cpuid(struct vm *vm, struct vhm_cpuid_entry *entries, uint32_t room)
{
	struct vhm_cpuid cpuid = {
		.size = sizeof(cpuid), .entry_count = room, .entries = (uintptr_t)entries,
	};

	must(vhm_ioctl(vm->device, VHM_GET_CPUID, &cpuid));
	return cpuid.entry_count;
}

static struct vhm_cpuid_entry *find_leaf(struct vhm_cpuid_entry *entries, uint32_t count,
					 uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < count; i++)
		if (entries[i].leaf == leaf && entries[i].subleaf == subleaf)
			return &entries[i];
	return NULL;
}

static long set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct vhm_msr_value msr = { .index = index, .value = value };

	return vcpu_set(vcpu, VHM_SECTION_MSRS, &msr);
}

static uint64_t get_msr(struct vcpu *vcpu, uint32_t index)
{
	struct vhm_state state = {
		.size = sizeof(state), .sections = 1ull << VHM_SECTION_MSRS,
	};
	struct {
		struct vhm_section head;
		struct vhm_msr_value msrs[128];
	} section;

	state.buffer = (uintptr_t)&section;
	state.buffer_bytes = sizeof(section);
	must(vhm_ioctl(vcpu->fd, VHM_VCPU_GET_STATE, &state));
	for (uint32_t i = 0; i < section.head.bytes / sizeof(section.msrs[0]); i++)
		if (section.msrs[i].index == index)
			return section.msrs[i].value;
	give_up("MSR %#x is not in the section", index);
}

/* ------------------------------------------------------------------ guest -- */

/* CR4.OSXSAVE, then XSETBV of EAX */
#define ENABLE_TILES					\
	"mov	%cr4, %rax\n"				\
	"or	$0x40000, %eax\n"			\
	"mov	%rax, %cr4\n"				\
	"xor	%ecx, %ecx\n"				\
	"xor	%edx, %edx\n"				\
	"mov	$0x60003, %eax\n"			\
	"xsetbv\n"					\
	"mov	$64, %esi\n"

/* IA32_XFD_ERR in R8, cleared, and again in R9 */
#define TAKE_XFD_ERR						\
	"mov	$0x1c5, %ecx\n"					\
	"rdmsr\n"						\
	"mov	%eax, %r8d\n"					\
	"xor	%eax, %eax\n"					\
	"wrmsr\n"						\
	"rdmsr\n"						\
	"mov	%eax, %r9d\n"

#define SET_XFD(bits)					\
	"mov	$0x1c4, %ecx\n"				\
	"mov	$" #bits ", %eax\n"			\
	"xor	%edx, %edx\n"				\
	"wrmsr\n"

/*
 * Disables tiles, uses them, is told of it by #NM, which the VMM ends; multiplies two tiles. R8 and
 * R9: IA32_XFD_ERR then, and after it was cleared.
 */
GUEST_CODE(first_use, 64,
	ENABLE_TILES
	SET_XFD(0x40000)
	"ldtilecfg 0x100000\n"
	"mov	$0x101000, %edi\n"
	"tileloadd (%rdi,%rsi,1), %tmm1\n"
	TAKE_XFD_ERR
	"mov	$0x102000, %edi\n"
	"tileloadd (%rdi,%rsi,1), %tmm2\n"
	"tilezero %tmm0\n"
	"tdpbssd %tmm2, %tmm1, %tmm0\n"
	"mov	$0x103000, %edi\n"
	"tilestored %tmm0, (%rdi,%rsi,1)\n"
	"tilerelease\n"
	"out	%al, $0x10\n");

/* The same with a handler of the guest's own for #NM, without an exit before it knows why. */
GUEST_CODE(handled_use, 64,
	ENABLE_TILES
	"1: ldtilecfg 0x100000\n"
	SET_XFD(0x40000)
	"mov	$0x101000, %edi\n"
	"tileloadd (%rdi,%rsi,1), %tmm1\n"
	"mov	$0x102000, %edi\n"
	"tilestored %tmm1, (%rdi,%rsi,1)\n"
	"out	%al, $0x10\n"
	"jmp	1b\n");

GUEST_CODE(handler, 64,
	TAKE_XFD_ERR
	SET_XFD(0)
	"iretq\n");

#define HANDLER_GPA	(LONG_CODE + 0x1000)

/* Keeps a tile and stores it after each exit; now and then it is disabled during the exit. */
GUEST_CODE(keeper, 64,
	ENABLE_TILES
	"ldtilecfg 0x100000\n"
	"mov	$0x101000, %edi\n"
	"tileloadd (%rdi,%rsi,1), %tmm5\n"
	"mov	$0x102000, %edi\n"
	"1: out	%al, $0x10\n"
	"tilestored %tmm5, (%rdi,%rsi,1)\n"
	"out	%al, $0x10\n"
	SET_XFD(0x40000)
	"out	%al, $0x10\n"
	SET_XFD(0)
	"tilestored %tmm5, (%rdi,%rsi,1)\n"
	"jmp	1b\n");

static void prepare_memory(struct vm *vm, unsigned int seed)
{
	fill_config((struct tile_config *)(vm->memory + CONFIG_GPA));
	fill_tile(vm->memory + TILE_GPA(0), seed);
	fill_tile(vm->memory + TILE_GPA(1), seed + 1);
}

static void start_keeper(struct vcpu *vcpu, unsigned int seed)
{
	guest_run_long(vcpu, keeper);
	prepare_memory(vcpu->vm, seed);
	guest_out(vcpu, PORT_DONE);
}

/* One way around its loop; false: what it stored is not what it has loaded. */
static bool keeper_round(struct vcpu *vcpu)
{
	uint8_t *from = vcpu->vm->memory + TILE_GPA(0), *to = vcpu->vm->memory + TILE_GPA(1);
	bool same;

	memset(to, 0, TILE_BYTES);
	guest_out(vcpu, PORT_DONE);
	same = !memcmp(from, to, TILE_BYTES);
	guest_out(vcpu, PORT_DONE);
	memset(to, 0, TILE_BYTES);
	guest_out(vcpu, PORT_DONE);
	return same && !memcmp(from, to, TILE_BYTES);
}

/* ------------------------------------------------- with the host's permission -- */

FIXTURE(amx) {
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
};

FIXTURE_SETUP(amx)
{
	if (!host_has_tiles())
		return;			/* NEED_TILES() says so */
	must(syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_GUEST_PERM, XTILE_DATA));
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
	self->run = self->vcpu.run;
}

FIXTURE_TEARDOWN(amx)
{
	if (!self->run)
		return;
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

/* A setup cannot skip its test. */
#define NEED_TILES() do {					\
	if (!self->run)						\
		SKIP(return, "the host has no AMX");		\
} while (0)

TEST_F(amx, is_offered)
{
	struct vhm_cpuid_entry entries[256], *entry;
	uint32_t count;

	NEED_TILES();
	count = get_cpuid(&self->vm, entries, COUNT(entries));
	EXPECT_EQ(XCR0_TILES, device_info().xcr0 & XCR0_TILES);
	ASSERT_NE(NULL, entry = find_leaf(entries, count, 7, 0));
	EXPECT_NE(0, entry->edx & 1u << 24);
	ASSERT_NE(NULL, entry = find_leaf(entries, count, 0xd, 1));
	EXPECT_NE(0, entry->eax & 1u << 4);
	ASSERT_NE(NULL, entry = find_leaf(entries, count, 0xd, XTILE_DATA));
	EXPECT_EQ(8 * TILE_BYTES, entry->eax);
	EXPECT_NE(0, entry->ecx & 4);
	ASSERT_NE(NULL, entry = find_leaf(entries, count, 0x1d, 1));
	EXPECT_EQ(8 * TILE_BYTES, entry->eax & 0xffff);
	EXPECT_NE(NULL, find_leaf(entries, count, 0x1e, 0));
	ASSERT_NE(NULL, entry = find_leaf(entries, count, 0, 0));
	EXPECT_EQ(0x1e, entry->eax);
}

/* Also where the VMM has tiles of its own for the first time while the guest's #NM is pending. */
TEST_F(amx, first_use)
{
	static struct tile_config config;
	static uint8_t own[TILE_BYTES], kept[TILE_BYTES];
	const int8_t *a = (int8_t *)self->vm.memory + TILE_GPA(0);
	const int8_t *b = (int8_t *)self->vm.memory + TILE_GPA(1);
	const int32_t *c = (int32_t *)(self->vm.memory + TILE_GPA(2));

	NEED_TILES();
	guest_run_long(&self->vcpu, first_use);
	prepare_memory(&self->vm, 1);
	ASSERT_EQ(NM, guest_event(&self->vcpu));
	EXPECT_EQ(DISABLED, get_msr(&self->vcpu, MSR_XFD));
	EXPECT_EQ(DISABLED, get_msr(&self->vcpu, MSR_XFD_ERR));

	must(syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILE_DATA));
	fill_config(&config);
	fill_tile(own, 77);
	asm volatile("ldtilecfg %0\n\ttileloadd (%1,%2,1), %%tmm1"
		     : : "m"(config), "r"(own), "r"((uint64_t)ROW_BYTES));

	ASSERT_EQ(0, set_msr(&self->vcpu, MSR_XFD, 0));
	guest_out(&self->vcpu, PORT_DONE);
	asm volatile("tilestored %%tmm1, (%0,%1,1)\n\ttilerelease"
		     : : "r"(kept), "r"((uint64_t)ROW_BYTES) : "memory");
	EXPECT_EQ(0, memcmp(own, kept, TILE_BYTES));

	EXPECT_EQ(DISABLED, self->run->regs.r8);
	EXPECT_EQ(0, self->run->regs.r9);
	for (unsigned int row = 0; row < ROWS; row++)
		for (unsigned int column = 0; column < ROW_BYTES / 4; column++) {
			int32_t sum = 0;

			for (unsigned int k = 0; k < ROW_BYTES; k++)
				sum += a[row * ROW_BYTES + k] *
				       b[k / 4 * ROW_BYTES + 4 * column + k % 4];
			ASSERT_EQ(sum, c[row * ROW_BYTES / 4 + column]);
		}
}

TEST_F(amx, handled_by_the_guest)
{
	uint8_t *memory = self->vm.memory;
	uint64_t *gate = (uint64_t *)(memory + LONG_IDT) + 2 * NM;

	NEED_TILES();
	guest_run_long(&self->vcpu, handled_use);
	prepare_memory(&self->vm, 9);
	memcpy(memory + HANDLER_GPA, handler, CODE_BYTES(handler));
	gate[0] = HANDLER_GPA % 0x10000 | SELECTOR_CODE << 16 | 0x8e00ull << 32 |
		  (uint64_t)(HANDLER_GPA >> 16) << 48;
	/* its pages are there from the second time on, and do not exit */
	for (int i = 0; i < 3; i++) {
		memset(memory + TILE_GPA(1), 0, TILE_BYTES);
		guest_out(&self->vcpu, PORT_DONE);
		EXPECT_EQ(DISABLED, self->run->regs.r8);
		EXPECT_EQ(0, self->run->regs.r9);
		EXPECT_EQ(0, memcmp(memory + TILE_GPA(0), memory + TILE_GPA(1), TILE_BYTES));
	}
}

/* The event that an instruction ends in, or NO_EVENT. */
static int event_of(struct vcpu *vcpu, const struct code *code)
{
	guest_long_enter(vcpu, LONG_CODE);
	if (code->gpa == LONG_CODE || guest_exit(vcpu) != VHM_EXIT_IO)
		give_up("exit '%s'", exit_name(vcpu->run->exit_reason));
	vcpu_retire(vcpu);
	return vcpu->run->io.port == PORT_DONE ? NO_EVENT : (int)guest_frame(vcpu)->vector;
}

static int xsetbv(struct vcpu *vcpu, uint32_t value)
{
	struct code code = { .vm = vcpu->vm, .gpa = LONG_CODE };

	/* CR4.OSXSAVE; XCR0 */
	emit(&code, "\x0f\x20\xe0\x0d\x00\x00\x04\x00\x0f\x22\xe0\x31\xc9\x31\xd2");
	emit_mov_eax(&code, value);
	emit(&code, "\x0f\x01\xd1");
	emit_out(&code, PORT_DONE);
	return event_of(vcpu, &code);
}

static int wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct code code = { .vm = vcpu->vm, .gpa = LONG_CODE };

	emit_wrmsr(&code, index, value);
	emit_out(&code, PORT_DONE);
	return event_of(vcpu, &code);
}

static int rdmsr(struct vcpu *vcpu, uint32_t index)
{
	struct code code = { .vm = vcpu->vm, .gpa = LONG_CODE };

	emit_rdmsr(&code, index);
	emit_out(&code, PORT_DONE);
	return event_of(vcpu, &code);
}

TEST_F(amx, refused_values)
{
	struct vhm_xcr xcr = { .xcr0 = 3 | 1ull << 17 };

	NEED_TILES();
	guest_long_tables(&self->vm);
	EXPECT_EQ(GP, xsetbv(&self->vcpu, 3 | 1u << 17));
	EXPECT_EQ(GP, xsetbv(&self->vcpu, 3 | 1u << 18));
	EXPECT_EQ(NO_EVENT, xsetbv(&self->vcpu, XCR0_WITH_TILES));
	EXPECT_EQ(-EINVAL, vcpu_set(&self->vcpu, VHM_SECTION_XCR, &xcr));
	for (uint32_t index = MSR_XFD; index <= MSR_XFD_ERR; index++) {
		EXPECT_EQ(GP, wrmsr(&self->vcpu, index, 1ull << 17));
		EXPECT_EQ(GP, wrmsr(&self->vcpu, index, 1ull << 63 | DISABLED));
		EXPECT_EQ(-EINVAL, set_msr(&self->vcpu, index, 4));
		EXPECT_EQ(NO_EVENT, wrmsr(&self->vcpu, index, DISABLED));
		EXPECT_EQ(DISABLED, get_msr(&self->vcpu, index));
		EXPECT_EQ(NO_EVENT, rdmsr(&self->vcpu, index));
		EXPECT_EQ(DISABLED, self->run->regs.rax);
	}
}

/* A VMM may leave tiles out, and a guest then has none. */
TEST_F(amx, is_left_out)
{
	struct vhm_cpuid_entry entries[256];
	struct vhm_cpuid cpuid = { .size = sizeof(cpuid), .entries = (uintptr_t)entries };

	NEED_TILES();
	cpuid.entry_count = get_cpuid(&self->vm, entries, COUNT(entries));
	find_leaf(entries, cpuid.entry_count, 0xd, 0)->eax &= ~XCR0_TILES;
	find_leaf(entries, cpuid.entry_count, 0xd, 1)->eax &= ~(1u << 4);
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	ASSERT_EQ(0, vhm_ioctl(self->vcpu.fd, VHM_VCPU_SET_CPUID, &cpuid));
	guest_long_tables(&self->vm);
	EXPECT_EQ(GP, xsetbv(&self->vcpu, XCR0_WITH_TILES));
	EXPECT_EQ(GP, wrmsr(&self->vcpu, MSR_XFD, 0));
	EXPECT_EQ(-EINVAL, set_msr(&self->vcpu, MSR_XFD, DISABLED));
}

/* ----------------------------------------------------------- side by side -- */

struct neighbour {
	unsigned int seed;
	bool failed;
};

/* A VM with a guest that keeps its tiles, in a thread that keeps its own and moves about. */
static void *neighbour(void *context)
{
	struct neighbour *self = context;
	struct tile_config config;
	uint8_t own[TILE_BYTES], kept[TILE_BYTES];
	struct vcpu vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	vcpu_create(&vcpu, &vm, 0);
	vcpu_set_cpuid(&vcpu);
	start_keeper(&vcpu, self->seed);
	fill_config(&config);
	fill_tile(own, self->seed + 1000);
	asm volatile("ldtilecfg %0\n\ttileloadd (%1,%2,1), %%tmm5"
		     : : "m"(config), "r"(own), "r"((uint64_t)ROW_BYTES));
	for (unsigned int round = 0; round < ROUNDS && !self->failed; round++) {
		pin(0, round / 4 % cpus_online());
		if (!keeper_round(&vcpu))
			self->failed = true;
		asm volatile("tilestored %%tmm5, (%0,%1,1)"
			     : : "r"(kept), "r"((uint64_t)ROW_BYTES) : "memory");
		if (memcmp(own, kept, TILE_BYTES))
			self->failed = true;
	}
	asm volatile("tilerelease");
	vcpu_destroy(&vcpu);
	vm_destroy(&vm);
	return NULL;
}

TEST_F(amx, side_by_side)
{
	struct neighbour neighbours[3] = { { .seed = 1 }, { .seed = 2 }, { .seed = 3 } };
	void *threads[COUNT(neighbours)];

	NEED_TILES();
	must(syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILE_DATA));
	for (unsigned int i = 0; i < COUNT(neighbours); i++)
		threads[i] = thread_start(neighbour, &neighbours[i]);
	for (unsigned int i = 0; i < COUNT(neighbours); i++) {
		thread_join(threads[i]);
		EXPECT_FALSE(neighbours[i].failed);
	}
}

/* ------------------------------------------------------------------ state -- */

static uint8_t buffer[65536] __attribute__((aligned(8)));

/* In the middle of a guest that has disabled the tiles it keeps, into a vCPU that is new. */
TEST_F(amx, state_is_cloned)
{
	struct vhm_state state = {
		.size = sizeof(state),
		.buffer = (uintptr_t)buffer,
		.buffer_bytes = sizeof(buffer),
	};
	struct vcpu clone;
	struct vm vm;

	NEED_TILES();
	start_keeper(&self->vcpu, 5);
	ASSERT_TRUE(keeper_round(&self->vcpu));
	/* to the exit with IA32_XFD set, whose OUT the clone executes again */
	guest_out(&self->vcpu, PORT_DONE);
	ASSERT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	EXPECT_EQ(DISABLED, get_msr(&self->vcpu, MSR_XFD));
	must(vhm_ioctl(self->vcpu.fd, VHM_VCPU_GET_STATE, &state));
	EXPECT_LE(state.buffer_bytes, device_info().state_bytes);

	vm_create(&vm, 0);
	memcpy(vm.memory, self->vm.memory, vm.memory_bytes);
	vcpu_create(&clone, &vm, 0);
	ASSERT_EQ(0, vhm_ioctl(clone.fd, VHM_VCPU_SET_STATE, &state));
	EXPECT_EQ(DISABLED, get_msr(&clone, MSR_XFD));
	memset(vm.memory + TILE_GPA(1), 0, TILE_BYTES);
	guest_out(&clone, PORT_DONE);
	guest_out(&clone, PORT_DONE);
	EXPECT_EQ(0, memcmp(vm.memory + TILE_GPA(0), vm.memory + TILE_GPA(1), TILE_BYTES));
	EXPECT_TRUE(keeper_round(&clone));
	vcpu_destroy(&clone);
	vm_destroy(&vm);
}

/* What was loaded before CPUID made the state larger is still there. */
TEST_F(amx, state_grows)
{
	struct vhm_state state = {
		.size = sizeof(state), .sections = 1ull << VHM_SECTION_XSAVE,
		.buffer = (uintptr_t)buffer, .buffer_bytes = sizeof(buffer),
	};
	struct vhm_section *head = (void *)buffer;
	uint8_t *area = (uint8_t *)(head + 1);
	const uint8_t pattern[16] = "sixteen bytes..";
	struct vcpu second;
	uint32_t small;

	NEED_TILES();
	vcpu_create(&second, &self->vm, 1);
	must(vhm_ioctl(second.fd, VHM_VCPU_GET_STATE, &state));
	small = head->bytes;
	memcpy(area + 160 + 3 * 16, pattern, sizeof(pattern));	/* XMM3 */
	area[512] |= 2;
	state.sections = 0;
	ASSERT_EQ(0, vhm_ioctl(second.fd, VHM_VCPU_SET_STATE, &state));
	vcpu_set_cpuid(&second);
	state.sections = 1ull << VHM_SECTION_XSAVE;
	state.buffer_bytes = sizeof(buffer);
	memset(buffer, 0, sizeof(buffer));
	must(vhm_ioctl(second.fd, VHM_VCPU_GET_STATE, &state));
	EXPECT_GT(head->bytes, small + 8 * TILE_BYTES / 2);
	EXPECT_EQ(0, memcmp(area + 160 + 3 * 16, pattern, sizeof(pattern)));
	vcpu_destroy(&second);
}

/* -------------------------------------------------------- without permission -- */

TEST(not_without_permission)
{
	struct vhm_cpuid_entry entries[256];
	struct vhm_cpuid cpuid = { .size = sizeof(cpuid), .entries = (uintptr_t)entries };
	struct vhm_xcr xcr = { .xcr0 = XCR0_WITH_TILES };
	struct vhm_cpuid_entry *entry;
	struct vcpu vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	vcpu_create(&vcpu, &vm, 0);
	EXPECT_EQ(0, device_info().xcr0 & XCR0_TILES);
	cpuid.entry_count = get_cpuid(&vm, entries, COUNT(entries));
	EXPECT_EQ(NULL, find_leaf(entries, cpuid.entry_count, 0xd, XTILE_DATA));
	EXPECT_EQ(NULL, find_leaf(entries, cpuid.entry_count, 0x1d, 0));
	ASSERT_NE(NULL, entry = find_leaf(entries, cpuid.entry_count, 0xd, 0));
	EXPECT_EQ(0, entry->eax & XCR0_TILES);
	entry->eax |= XCR0_TILES;
	EXPECT_EQ(-EINVAL, vhm_ioctl(vcpu.fd, VHM_VCPU_SET_CPUID, &cpuid));

	vcpu_set_cpuid(&vcpu);
	guest_long_tables(&vm);
	EXPECT_EQ(GP, xsetbv(&vcpu, XCR0_WITH_TILES));
	EXPECT_EQ(NO_EVENT, xsetbv(&vcpu, 3));
	EXPECT_EQ(-EINVAL, vcpu_set(&vcpu, VHM_SECTION_XCR, &xcr));
	for (uint32_t index = MSR_XFD; index <= MSR_XFD_ERR; index++) {
		EXPECT_EQ(GP, wrmsr(&vcpu, index, 0));
		EXPECT_EQ(GP, wrmsr(&vcpu, index, DISABLED));
		EXPECT_EQ(GP, rdmsr(&vcpu, index));
		EXPECT_EQ(-EINVAL, set_msr(&vcpu, index, DISABLED));
		EXPECT_EQ(0, set_msr(&vcpu, index, 0));
	}
	vcpu_destroy(&vcpu);
	vm_destroy(&vm);
}

TEST_HARNESS_MAIN
