// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions that exit and are answered in the kernel: what the guest sees of CPUID, control
 * registers, XSETBV, EFER and the MSRs of the model; and which exceptions it gets for what it
 * may not do.
 *
 * One table row an instruction: its registers before, and either the exception or that it completes.
 */
#include <kselftest_harness.h>

#include <cpuid.h>
#include <errno.h>
#include <string.h>

#include "guest.h"

#define NO_EVENT	(-1)
#define DB	1
#define UD	6
#define GP	13
#define PF	14

FIXTURE(guest) {
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
};

FIXTURE_SETUP(guest)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
	self->run = self->vcpu.run;
}

FIXTURE_TEARDOWN(guest)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

/**
 * struct attempt - one instruction
 * @text: for messages
 * @code: its bytes
 * @bytes: their number
 * @rax: before, and so on
 * @event: exception it must raise, or NO_EVENT
 */
struct attempt {
	const char *text;
	const char *code;
	size_t bytes;
	uint64_t rax, rcx, rdx;
	int event;
};

#define CODE(bytes)	bytes, sizeof(bytes) - 1

static const char done[] = "\xe6\x10";	/* out %al, $0x10 */

/* Runs one instruction from a fresh 64-bit state; the event, or NO_EVENT. Error code 0 is checked. */
static int attempt(struct vcpu *vcpu, const struct attempt *a)
{
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rbx = LONG_DATA,
		.rax = a->rax, .rcx = a->rcx, .rdx = a->rdx,
	};
	uint8_t code[32];

	memcpy(code, a->code, a->bytes);
	memcpy(code + a->bytes, done, sizeof(done) - 1);
	guest_long(vcpu, code, a->bytes + sizeof(done) - 1);
	must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
	if (guest_exit(vcpu) != VHM_EXIT_IO)
		give_up("%s: exit '%s', hardware reason %#x", a->text,
			exit_name(vcpu->run->exit_reason), vcpu->run->hardware_reason);
	vcpu_retire(vcpu);
	if (vcpu->run->io.port == PORT_DONE)
		return NO_EVENT;
	if (guest_frame(vcpu)->rip != LONG_CODE)
		give_up("%s: event at %#llx", a->text,
			(unsigned long long)guest_frame(vcpu)->rip);
	if (guest_frame(vcpu)->error)
		give_up("%s: error code %#llx", a->text,
			(unsigned long long)guest_frame(vcpu)->error);
	return (int)guest_frame(vcpu)->vector;
}

#define EXPECT_ATTEMPTS(table)								\
	for (size_t n = 0; n < COUNT(table); n++) {					\
		int event = attempt(&self->vcpu, &(table)[n]);				\
											\
		EXPECT_EQ((table)[n].event, event)					\
			TH_LOG("%s (rax %#llx, rcx %#llx, rdx %#llx)", (table)[n].text,	\
			       (unsigned long long)(table)[n].rax,			\
			       (unsigned long long)(table)[n].rcx,			\
			       (unsigned long long)(table)[n].rdx);			\
	}

/* Instructions of features no guest is given. */
TEST_F(guest, undefined_instructions)
{
	static const struct attempt table[] = {
		{ "monitor", CODE("\x0f\x01\xc8"), .event = UD },
		{ "mwait", CODE("\x0f\x01\xc9"), .event = UD },
		{ "vmlaunch", CODE("\x0f\x01\xc2"), .event = UD },
		{ "vmresume", CODE("\x0f\x01\xc3"), .event = UD },
		{ "vmxoff", CODE("\x0f\x01\xc4"), .event = UD },
		{ "vmclear (%rbx)", CODE("\x66\x0f\xc7\x33"), .event = UD },
		{ "vmptrld (%rbx)", CODE("\x0f\xc7\x33"), .event = UD },
		{ "vmptrst (%rbx)", CODE("\x0f\xc7\x3b"), .event = UD },
		{ "vmxon (%rbx)", CODE("\xf3\x0f\xc7\x33"), .event = UD },
		{ "vmread %rax, %rcx", CODE("\x0f\x78\xc1"), .event = UD },
		{ "vmwrite %rcx, %rax", CODE("\x0f\x79\xc1"), .event = UD },
		{ "invept (%rbx), %rax", CODE("\x66\x0f\x38\x80\x03"), .event = UD },
		{ "invvpid (%rbx), %rax", CODE("\x66\x0f\x38\x81\x03"), .event = UD },
		{ "vmfunc", CODE("\x0f\x01\xd4"), .event = UD },
		{ "getsec", CODE("\x0f\x37"), .event = UD },
		{ "encls", CODE("\x0f\x01\xcf"), .event = UD },
		{ "rsm", CODE("\x0f\xaa"), .event = UD },
	};

	EXPECT_ATTEMPTS(table);
}

TEST_F(guest, harmless_instructions)
{
	static const struct attempt table[] = {
		{ "invd", CODE("\x0f\x08"), .event = NO_EVENT },
		{ "wbinvd", CODE("\x0f\x09"), .event = NO_EVENT },
		{ "pause", CODE("\xf3\x90"), .event = NO_EVENT },
		{ "invlpg (%rbx)", CODE("\x0f\x01\x3b"), .event = NO_EVENT },
		{ "cpuid", CODE("\x0f\xa2"), .event = NO_EVENT },
		{ "rdtsc", CODE("\x0f\x31"), .event = NO_EVENT },
		{ "vmcall", CODE("\x0f\x01\xc1"), .event = NO_EVENT },
		{ "rdpmc", CODE("\x0f\x33"), .event = GP },
	};

	EXPECT_ATTEMPTS(table);
}

TEST_F(guest, control_registers)
{
	static const struct attempt table[] = {
		{ "mov %rax, %cr0: the same", CODE("\x0f\x22\xc0"), .rax = 0x80010033, .event = NO_EVENT },
		{ "mov %rax, %cr0: CD", CODE("\x0f\x22\xc0"), .rax = 0xc0010033, .event = NO_EVENT },
		{ "mov %rax, %cr0: CD NW", CODE("\x0f\x22\xc0"), .rax = 0xe0010033, .event = NO_EVENT },
		{ "mov %rax, %cr0: NW without CD", CODE("\x0f\x22\xc0"), .rax = 0xa0010033, .event = GP },
		{ "mov %rax, %cr0: PG without PE", CODE("\x0f\x22\xc0"), .rax = 0x80010032, .event = GP },
		{ "mov %rax, %cr0: bit 32", CODE("\x0f\x22\xc0"), .rax = 0x180010033, .event = GP },
		{ "mov %rax, %cr0: bit 63", CODE("\x0f\x22\xc0"), .rax = 0x8000000080010033, .event = GP },
		{ "mov %rax, %cr0: TS", CODE("\x0f\x22\xc0"), .rax = 0x8001003b, .event = NO_EVENT },
		{ "clts", CODE("\x0f\x06"), .event = NO_EVENT },
		{ "lmsw %ax", CODE("\x0f\x01\xf0"), .rax = 0xf, .event = NO_EVENT },
		{ "mov %rax, %cr4: PGE", CODE("\x0f\x22\xe0"), .rax = 0x6a0, .event = NO_EVENT },
		{ "mov %rax, %cr4: no PAE in long mode", CODE("\x0f\x22\xe0"), .rax = 0x600, .event = GP },
		{ "mov %rax, %cr4: VMXE", CODE("\x0f\x22\xe0"), .rax = 0x2620, .event = GP },
		{ "mov %rax, %cr4: SMXE", CODE("\x0f\x22\xe0"), .rax = 0x4620, .event = GP },
		{ "mov %rax, %cr4: LA57", CODE("\x0f\x22\xe0"), .rax = 0x1620, .event = GP },
		{ "mov %rax, %cr4: bit 15", CODE("\x0f\x22\xe0"), .rax = 0x8620, .event = GP },
		{ "mov %rax, %cr4: bit 31", CODE("\x0f\x22\xe0"), .rax = 0x80000620, .event = GP },
		{ "mov %rax, %cr4: bit 63", CODE("\x0f\x22\xe0"), .rax = 0x8000000000000620, .event = GP },
		{ "mov %rax, %cr3: reserved", CODE("\x0f\x22\xd8"), .rax = 1ull << 62, .event = GP },
		{ "mov %rax, %cr8: 15", CODE("\x44\x0f\x22\xc0"), .rax = 15, .event = NO_EVENT },
		{ "mov %rax, %cr8: 16", CODE("\x44\x0f\x22\xc0"), .rax = 16, .event = GP },
		{ "mov %rax, %cr8: bit 63", CODE("\x44\x0f\x22\xc0"), .rax = 1ull << 63, .event = GP },
		{ "mov %cr8, %rax", CODE("\x44\x0f\x20\xc0"), .event = NO_EVENT },
	};

	EXPECT_ATTEMPTS(table);
}

GUEST_CODE(read_control_registers, 64,
	"mov	%rax, %cr0\n"
	"mov	%rcx, %cr4\n"
	"mov	%rdx, %cr8\n"
	"mov	%cr0, %r8\n"
	"mov	%cr4, %r9\n"
	"mov	%cr8, %r10\n"
	"mov	$0xc0000080, %ecx\n"
	"rdmsr\n"
	"mov	%rax, %r11\n"
	"out	%al, $0x10\n");

/* A guest reads back what it wrote, whatever the hardware holds, and so does the VMM. */
TEST_F(guest, control_registers_read_back)
{
	const struct { uint64_t cr0, cr4, cr8; } sets[] = {
		{ 0x80010033, 0x620, 0 },
		{ 0xe005003b, 0x6f0, 7 },
		{ 0xc0000011, 0x406bf, 15 },
		{ 0x80000011, 0x20, 1 },
	};

	for (size_t i = 0; i < COUNT(sets); i++) {
		struct vhm_registers regs = {
			.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2,
			.rax = sets[i].cr0, .rcx = sets[i].cr4, .rdx = sets[i].cr8,
		};
		struct vhm_sregisters sregs;

		guest_run_long(&self->vcpu, read_control_registers);
		ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
		guest_out(&self->vcpu, PORT_DONE);
		EXPECT_EQ(sets[i].cr0 | 0x10, self->run->regs.r8);
		EXPECT_EQ(sets[i].cr4, self->run->regs.r9);
		EXPECT_EQ(sets[i].cr8, self->run->regs.r10);
		EXPECT_EQ(0xd00, self->run->regs.r11);
		vcpu_get(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs);
		EXPECT_EQ(sets[i].cr0 | 0x10, sregs.cr0);
		EXPECT_EQ(sets[i].cr4, sregs.cr4);
		EXPECT_EQ(sets[i].cr8, sregs.cr8);
	}
}

#define OSXSAVE	(1 << 18)

static void set_cr4(struct vcpu *vcpu, uint64_t cr4)
{
	struct vhm_sregisters sregs;

	vcpu_get(vcpu, VHM_SECTION_SREGISTERS, &sregs);
	sregs.cr4 = cr4;
	must(vcpu_set(vcpu, VHM_SECTION_SREGISTERS, &sregs));
}

static const uint8_t xsetbv_code[] = { 0x0f, 0x01, 0xd1, 0xe6, 0x10 };

/* Like attempt(), with CR4.OSXSAVE. */
static int xsetbv(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2,
		.rax = (uint32_t)value, .rdx = value >> 32, .rcx = index,
	};

	guest_long(vcpu, xsetbv_code, sizeof(xsetbv_code));
	set_cr4(vcpu, 0x620 | OSXSAVE);
	must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
	if (guest_exit(vcpu) != VHM_EXIT_IO)
		give_up("XSETBV: exit '%s'", exit_name(vcpu->run->exit_reason));
	vcpu_retire(vcpu);
	return vcpu->run->io.port == PORT_DONE ? NO_EVENT : (int)guest_frame(vcpu)->vector;
}

TEST_F(guest, xsetbv)
{
	uint64_t supported = device_info().xcr0;
	struct vhm_xcr xcr;

	if (!(supported & 2)) {		/* a host without XSAVE */
		EXPECT_EQ(UD, attempt(&self->vcpu, &(struct attempt) {
			"xsetbv", CODE("\x0f\x01\xd1"), .rax = 1 }));
		return;
	}
	EXPECT_EQ(NO_EVENT, xsetbv(&self->vcpu, 0, 1));
	EXPECT_EQ(NO_EVENT, xsetbv(&self->vcpu, 0, 3));
	vcpu_get(&self->vcpu, VHM_SECTION_XCR, &xcr);
	EXPECT_EQ(3, xcr.xcr0);
	EXPECT_EQ(NO_EVENT, xsetbv(&self->vcpu, 0, supported));
	vcpu_get(&self->vcpu, VHM_SECTION_XCR, &xcr);
	EXPECT_EQ(supported, xcr.xcr0);
	EXPECT_EQ(GP, xsetbv(&self->vcpu, 0, 0));
	EXPECT_EQ(GP, xsetbv(&self->vcpu, 0, 2));
	EXPECT_EQ(GP, xsetbv(&self->vcpu, 0, 5));	/* AVX without SSE */
	EXPECT_EQ(GP, xsetbv(&self->vcpu, 0, 7 | 1 << 5));	/* a third of AVX-512 */
	EXPECT_EQ(GP, xsetbv(&self->vcpu, 0, 3 | 1ull << 63));
	EXPECT_EQ(GP, xsetbv(&self->vcpu, 0, 3 | 1ull << 40));
	EXPECT_EQ(GP, xsetbv(&self->vcpu, 1, 3));
	EXPECT_EQ(GP, xsetbv(&self->vcpu, ~0u, 3));
	vcpu_get(&self->vcpu, VHM_SECTION_XCR, &xcr);
	EXPECT_EQ(supported, xcr.xcr0);
}

#define RDMSR	CODE("\x0f\x32")
#define WRMSR	CODE("\x0f\x30")

TEST_F(guest, msrs)
{
	static const struct attempt table[] = {
		{ "rdmsr unknown", RDMSR, .rcx = 0x12345, .event = GP },
		{ "wrmsr unknown", WRMSR, .rcx = 0x12345, .event = GP },
		{ "rdmsr unknown, high", RDMSR, .rcx = 0xc0012345, .event = GP },
		{ "rdmsr outside both ranges", RDMSR, .rcx = 0x40000000, .event = GP },
		{ "rdmsr all ones", RDMSR, .rcx = ~0u, .event = GP },
		{ "rdmsr VMX_BASIC", RDMSR, .rcx = 0x480, .event = GP },
		{ "wrmsr FEATURE_CONTROL", WRMSR, .rcx = 0x3a, .rax = 5, .event = GP },
		{ "rdmsr TSC", RDMSR, .rcx = 0x10, .event = NO_EVENT },
		{ "rdmsr APIC_BASE", RDMSR, .rcx = 0x1b, .event = NO_EVENT },
		{ "wrmsr APIC_BASE: moved", WRMSR, .rcx = 0x1b, .rax = 0xfed00900, .event = GP },
		{ "wrmsr APIC_BASE: reserved", WRMSR, .rcx = 0x1b, .rax = 0xfee00901, .event = GP },
		{ "rdmsr x2APIC in xAPIC mode", RDMSR, .rcx = 0x802, .event = GP },
		{ "wrmsr EFER: LMA LME NX SCE", WRMSR, .rcx = 0xc0000080, .rax = 0xd01, .event = NO_EVENT },
		{ "wrmsr EFER: no LME", WRMSR, .rcx = 0xc0000080, .rax = 0x800, .event = GP },
		{ "wrmsr EFER: bit 12", WRMSR, .rcx = 0xc0000080, .rax = 0x1d00, .event = GP },
		{ "wrmsr EFER: bit 63", WRMSR, .rcx = 0xc0000080, .rax = 0xd00, .rdx = 1u << 31, .event = GP },
		{ "wrmsr PAT", WRMSR, .rcx = 0x277, .rax = 0x00070406, .rdx = 0x00070406, .event = NO_EVENT },
		{ "wrmsr PAT: type 2", WRMSR, .rcx = 0x277, .rax = 0x00070402, .event = GP },
		{ "wrmsr PAT: type 8", WRMSR, .rcx = 0x277, .rdx = 0x08000000, .event = GP },
		{ "wrmsr LSTAR", WRMSR, .rcx = 0xc0000082, .rax = 1, .event = NO_EVENT },
		{ "wrmsr LSTAR: not canonical", WRMSR, .rcx = 0xc0000082, .rdx = 0x8000, .event = GP },
		{ "wrmsr CSTAR: not canonical", WRMSR, .rcx = 0xc0000083, .rdx = 0x8000, .event = GP },
		{ "wrmsr KERNEL_GS_BASE: not canonical", WRMSR, .rcx = 0xc0000102, .rdx = 0x8000, .event = GP },
		{ "wrmsr GS_BASE: not canonical", WRMSR, .rcx = 0xc0000101, .rdx = 0x8000, .event = GP },
		{ "wrmsr SYSENTER_EIP: not canonical", WRMSR, .rcx = 0x176, .rdx = 0x8000, .event = GP },
		{ "wrmsr SYSCALL_MASK", WRMSR, .rcx = 0xc0000084, .rax = 0x700, .event = NO_EVENT },
		{ "wrmsr MTRRcap", WRMSR, .rcx = 0xfe, .event = GP },
		{ "rdmsr MTRRcap", RDMSR, .rcx = 0xfe, .event = NO_EVENT },
		{ "wrmsr MTRR_DEF_TYPE", WRMSR, .rcx = 0x2ff, .rax = 0xc06, .event = NO_EVENT },
		{ "wrmsr MTRR_DEF_TYPE: type 3", WRMSR, .rcx = 0x2ff, .rax = 0xc03, .event = GP },
		{ "wrmsr XSS", WRMSR, .rcx = 0xda0, .rax = 1u << 8, .event = GP },
		{ "rdmsr a performance counter", RDMSR, .rcx = 0xc1, .event = GP },
	};

	EXPECT_ATTEMPTS(table);
}

GUEST_CODE(cpuid_to_mail, 64,
	"cpuid\n"
	"mov	%eax, " MAIL_FLAG "\n"
	"mov	%ebx, " MAIL_FLAG " + 4\n"
	"mov	%ecx, " MAIL_FLAG " + 8\n"
	"mov	%edx, " MAIL_FLAG " + 12\n"
	"out	%al, $0x10\n");

struct cpuid_answer {
	uint32_t eax, ebx, ecx, edx;
};

static struct cpuid_answer ask_cpuid(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2,
		.rax = 0xffffffff00000000 | leaf, .rcx = 0xffffffff00000000 | subleaf,
	};
	struct cpuid_answer answer;

	guest_run_long(vcpu, cpuid_to_mail);
	must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
	guest_out(vcpu, PORT_DONE);
	if (vcpu->run->regs.rbx >> 32 || vcpu->run->regs.rcx >> 32)
		give_up("CPUID left upper halves");
	memcpy(&answer, guest_mail(vcpu->vm)->flag, sizeof(answer));
	return answer;
}

/* Every entry of the table reaches the guest, but for the fields that follow from its state. */
TEST_F(guest, cpuid_table)
{
	struct vhm_cpuid_entry entries[256];
	struct vhm_cpuid cpuid = {
		.size = sizeof(cpuid), .entry_count = COUNT(entries), .entries = (uintptr_t)entries,
	};

	ASSERT_EQ(0, vhm_ioctl(self->vm.device, VHM_GET_CPUID, &cpuid));
	for (uint32_t i = 0; i < cpuid.entry_count; i++) {
		const struct vhm_cpuid_entry *e = &entries[i];
		struct cpuid_answer seen = ask_cpuid(&self->vcpu, e->leaf, e->subleaf);
		uint32_t ecx_dynamic = e->leaf == 1 ? 1 << 27 : e->leaf == 7 ? 1 << 4 : 0;

		EXPECT_EQ(e->eax, seen.eax) TH_LOG("leaf %#x.%u", e->leaf, e->subleaf);
		if (e->leaf != 1 && e->leaf != 0xd)
			EXPECT_EQ(e->ebx, seen.ebx) TH_LOG("leaf %#x.%u", e->leaf, e->subleaf);
		EXPECT_EQ(e->ecx & ~ecx_dynamic, seen.ecx & ~ecx_dynamic)
			TH_LOG("leaf %#x.%u", e->leaf, e->subleaf);
		if (e->leaf != 0xb)
			EXPECT_EQ(e->edx, seen.edx) TH_LOG("leaf %#x.%u", e->leaf, e->subleaf);
	}
}

TEST_F(guest, cpuid_dynamic)
{
	struct vcpu second;
	struct cpuid_answer seen;

	seen = ask_cpuid(&self->vcpu, 1, 0);
	EXPECT_EQ(0, seen.ebx >> 24);
	EXPECT_TRUE(seen.edx & 1 << 9);			/* APIC */
	EXPECT_FALSE(seen.ecx & 1 << 5);		/* VMX */
	EXPECT_FALSE(seen.ecx & 1 << 3);		/* MONITOR */
	EXPECT_FALSE(seen.ecx & 1 << 27);		/* OSXSAVE */
	/* beyond the last leaves: the data of the last basic one */
	EXPECT_EQ(0, ask_cpuid(&self->vcpu, 0x40000002, 0).eax);
	/* APIC id */
	vcpu_create(&second, &self->vm, 5);
	vcpu_set_cpuid(&second);
	ASSERT_EQ(0, vcpu_set(&second, VHM_SECTION_EVENTS, &(struct vhm_events) {
		.run_state = VHM_RUN_STATE_RUNNABLE }));
	EXPECT_EQ(5, ask_cpuid(&second, 1, 0).ebx >> 24);
	EXPECT_EQ(5, ask_cpuid(&second, 0xb, 0).edx);
	vcpu_destroy(&second);
}

TEST_F(guest, cpuid_refused)
{
	struct vhm_cpuid_entry entries[256];
	struct vhm_cpuid cpuid = {
		.size = sizeof(cpuid), .entry_count = COUNT(entries), .entries = (uintptr_t)entries,
	};
	struct vcpu fresh;
	uint32_t count;

	vcpu_create(&fresh, &self->vm, 1);
	ASSERT_EQ(0, vhm_ioctl(self->vm.device, VHM_GET_CPUID, &cpuid));
	count = cpuid.entry_count;
	for (uint32_t i = 0; i < count; i++) {
		if (entries[i].leaf != 1)
			continue;
		entries[i].ecx |= 1 << 5;	/* VMX */
		EXPECT_EQ(-EINVAL, vhm_ioctl(fresh.fd, VHM_VCPU_SET_CPUID, &cpuid));
		entries[i].ecx &= ~(1 << 5);
		entries[i].reserved = 1;
		EXPECT_EQ(-EINVAL, vhm_ioctl(fresh.fd, VHM_VCPU_SET_CPUID, &cpuid));
		entries[i].reserved = 0;
		entries[i].flags |= 1 << 1;
		EXPECT_EQ(-EINVAL, vhm_ioctl(fresh.fd, VHM_VCPU_SET_CPUID, &cpuid));
		entries[i].flags &= ~(1 << 1);
		/* fewer bits are fine */
		entries[i].ecx &= ~(1 << 30);
	}
	/* the same question twice */
	entries[count] = entries[0];
	cpuid.entry_count = count + 1;
	EXPECT_EQ(-EINVAL, vhm_ioctl(fresh.fd, VHM_VCPU_SET_CPUID, &cpuid));
	/* a leaf of the hypervisor's own */
	entries[count] = (struct vhm_cpuid_entry) { .leaf = 0x40000010, .ebx = 0x56484d21 };
	EXPECT_EQ(0, vhm_ioctl(fresh.fd, VHM_VCPU_SET_CPUID, &cpuid));
	ASSERT_EQ(0, vcpu_set(&fresh, VHM_SECTION_EVENTS, &(struct vhm_events) {
		.run_state = VHM_RUN_STATE_RUNNABLE }));
	EXPECT_EQ(0x56484d21, ask_cpuid(&fresh, 0x40000010, 0).ebx);
	/* it has run: only the same table again */
	EXPECT_EQ(0, vhm_ioctl(fresh.fd, VHM_VCPU_SET_CPUID, &cpuid));
	entries[count].ebx = 0;
	EXPECT_EQ(-EBUSY, vhm_ioctl(fresh.fd, VHM_VCPU_SET_CPUID, &cpuid));
	cpuid.entry_count = 0;
	EXPECT_EQ(-EBUSY, vhm_ioctl(fresh.fd, VHM_VCPU_SET_CPUID, &cpuid));
	vcpu_destroy(&fresh);
}

/* Without a table: zeros, and no feature that hangs on a bit of it. */
TEST_F(guest, without_cpuid)
{
	struct vcpu bare;
	struct cpuid_answer seen;

	vcpu_create(&bare, &self->vm, 1);
	ASSERT_EQ(0, vcpu_set(&bare, VHM_SECTION_EVENTS, &(struct vhm_events) {
		.run_state = VHM_RUN_STATE_RUNNABLE }));
	seen = ask_cpuid(&bare, 0, 0);
	EXPECT_EQ(0, seen.eax | seen.ebx | seen.ecx | seen.edx);
	seen = ask_cpuid(&bare, 0x80000001, 0);
	EXPECT_EQ(0, seen.eax | seen.ebx | seen.ecx | seen.edx);
	vcpu_destroy(&bare);
}

GUEST_CODE(tsc_forward, 64,
	"mov	$2000, %edi\n"
	"xor	%esi, %esi\n"
	"1: rdtsc\n"
	"shl	$32, %rdx\n"
	"or	%rdx, %rax\n"
	"cmp	%rsi, %rax\n"
	"jb	2f\n"
	"mov	%rax, %rsi\n"
	"mov	$0x10, %ecx\n"
	"rdmsr\n"
	"shl	$32, %rdx\n"
	"or	%rdx, %rax\n"
	"cmp	%rsi, %rax\n"
	"jb	2f\n"
	"mov	%rax, %rsi\n"
	"dec	%edi\n"
	"jnz	1b\n"
	"xor	%eax, %eax\n"
	"out	%al, $0x10\n"
	"2: mov	$1, %al\n"
	"out	%al, $0x10\n");

TEST_F(guest, tsc_never_goes_back)
{
	uint64_t seen;
	struct vhm_time time;

	guest_run_long(&self->vcpu, tsc_forward);
	EXPECT_EQ(0, guest_out(&self->vcpu, PORT_DONE));
	seen = self->run->regs.rsi;
	EXPECT_GT(seen, 0);
	vcpu_get(&self->vcpu, VHM_SECTION_TIME, &time);
	EXPECT_GE(time.tsc, seen);
	/* moved by the VMM */
	time.tsc += 1ull << 40;
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_TIME, &time));
	guest_run_long(&self->vcpu, tsc_forward);
	EXPECT_EQ(0, guest_out(&self->vcpu, PORT_DONE));
	EXPECT_GE(self->run->regs.rsi, seen + (1ull << 40));
}

GUEST_CODE(debug_registers, 64,
	"mov	%rax, %dr0\n"
	"not	%rax\n"
	"mov	%rax, %dr3\n"
	"mov	%dr0, %rcx\n"
	"mov	%dr3, %rdx\n"
	"mov	%dr6, %r8\n"
	"mov	%dr7, %r9\n"
	"mov	$0x102000, %eax\n"
	"mov	%rax, %dr1\n"
	"mov	$0x0010040c, %eax\n"	/* DR1: 1 byte, write */
	"mov	%rax, %dr7\n"
	"mov	%al, 0x102000\n"
	"nop\n"
	"out	%al, $0x10\n");

TEST_F(guest, debug_registers)
{
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rax = 0x123456789abc,
	};
	struct vhm_debug_registers debug;

	guest_run_long(&self->vcpu, debug_registers);
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
	EXPECT_EQ(DB, guest_event(&self->vcpu));
	EXPECT_EQ(0x123456789abc, self->run->regs.rcx);
	EXPECT_EQ(~0x123456789abcull, guest_frame(&self->vcpu)->rdx);
	EXPECT_EQ(0xffff0ff0, self->run->regs.r8);
	EXPECT_EQ(0x400, self->run->regs.r9);
	vcpu_get(&self->vcpu, VHM_SECTION_DEBUG, &debug);
	EXPECT_EQ(0x102000, debug.db[1]);
	EXPECT_EQ(2, debug.dr6 & 0xf);
	guest_out(&self->vcpu, PORT_DONE);
}

GUEST_CODE(long_to_real_and_back, 32,
	/* enter PAE paging without long mode: PDPTEs from guest memory */
	"mov	$0x20, %eax\n"
	"mov	%eax, %cr4\n"
	"mov	$0x60000, %eax\n"
	"mov	%eax, %cr3\n"
	"mov	$0x80000033, %eax\n"
	"mov	%eax, %cr0\n"
	"mov	$0x12345678, %eax\n"
	"mov	%eax, 0x100000\n"
	"mov	0x40100000, %ebx\n"	/* the same page through the second PDPTE */
	"mov	%ebx, %eax\n"
	"out	%eax, $0x10\n"
	"mov	$0x33, %eax\n"
	"mov	%eax, %cr0\n"
	"mov	0x100000, %eax\n"
	"out	%eax, $0x10\n"
	/* reserved bits in a PDPTE: #GP at the switch, with no IDT: the end */
	"movl	$0x1e7, 0x60000\n"
	"mov	$0x80000033, %eax\n"
	"mov	%eax, %cr0\n");

TEST_F(guest, pae_paging)
{
	uint64_t *pdpt = (uint64_t *)(self->vm.memory + 0x60000);
	uint64_t *directory = (uint64_t *)(self->vm.memory + 0x61000);

	guest_protected(&self->vcpu, long_to_real_and_back, CODE_BYTES(long_to_real_and_back));
	memset(pdpt, 0, 2 * PAGE_BYTES);
	pdpt[0] = 0x61000 | 1;
	pdpt[1] = 0x61000 | 1;
	directory[0] = 0x83;
	EXPECT_EQ(0x12345678, guest_out(&self->vcpu, PORT_DONE));
	EXPECT_EQ(0x12345678, guest_out(&self->vcpu, PORT_DONE));
	EXPECT_EQ(VHM_EXIT_SHUTDOWN, guest_exit(&self->vcpu));
}

#define CPUID_SMAP	(1u << 20)
#define CR4_SMAP	(1 << 21)
#define LONG_TABLE	(LONG_PML4 + 6 * PAGE_BYTES)	/* of the first 2 MiB */
#define PTE_USER	4ull

#define WHILE_ALLOWED	"stac\n" "mov (%rbx), %al\n" "mov %al, (%rbx)\n"

GUEST_CODE(smap_allowed, 64, WHILE_ALLOWED "out %al, $0x10\n");
GUEST_CODE(smap_forbidden, 64, "mov (%rbx), %al\n" "out %al, $0x10\n");
GUEST_CODE(smap_read_after_clac, 64, WHILE_ALLOWED "clac\n" "mov (%rbx), %al\n" "out %al, $0x10\n");
GUEST_CODE(smap_write_after_clac, 64, WHILE_ALLOWED "clac\n" "mov %al, (%rbx)\n" "out %al, $0x10\n");
GUEST_CODE(smap_read_after_popf, 64,
	WHILE_ALLOWED "push $2\n" "popf\n" "mov (%rbx), %al\n" "out %al, $0x10\n");

/* In the kernel's part of a guest, whose page at LONG_DATA alone is a user's: the event, or NO_EVENT. */
static int run_under_smap(struct vcpu *vcpu, const uint8_t *code, size_t bytes)
{
	struct vhm_registers regs = { .rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rbx = LONG_DATA };
	uint64_t *table = (uint64_t *)(vcpu->vm->memory + LONG_TABLE);
	struct vhm_sregisters sregs;

	guest_long(vcpu, code, bytes);
	for (uint32_t i = 0; i < 512; i++)
		if (i != LONG_DATA / PAGE_BYTES)
			table[i] &= ~PTE_USER;
	vcpu_get(vcpu, VHM_SECTION_SREGISTERS, &sregs);
	set_cr4(vcpu, sregs.cr4 | CR4_SMAP);
	must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
	if (guest_exit(vcpu) != VHM_EXIT_IO)
		give_up("exit '%s'", exit_name(vcpu->run->exit_reason));
	vcpu_retire(vcpu);
	return vcpu->run->io.port == PORT_DONE ? NO_EVENT : (int)guest_frame(vcpu)->vector;
}

/* What the guest may read and write while EFLAGS.AC is set it may not afterwards. */
TEST_F(guest, smap)
{
#define UNDER_SMAP(name)	run_under_smap(&self->vcpu, name, CODE_BYTES(name))
	uint32_t eax, ebx, ecx, edx;

	if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & CPUID_SMAP))
		SKIP(return, "this processor has no SMAP");
	EXPECT_EQ(NO_EVENT, UNDER_SMAP(smap_allowed));
	EXPECT_EQ(PF, UNDER_SMAP(smap_forbidden));
	EXPECT_EQ(PF, UNDER_SMAP(smap_read_after_clac));
	EXPECT_EQ(1, guest_frame(&self->vcpu)->error);
	EXPECT_EQ(PF, UNDER_SMAP(smap_write_after_clac));
	EXPECT_EQ(3, guest_frame(&self->vcpu)->error);
	EXPECT_EQ(PF, UNDER_SMAP(smap_read_after_popf));
}

TEST_HARNESS_MAIN
