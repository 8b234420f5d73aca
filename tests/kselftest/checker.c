// SPDX-License-Identifier: GPL-2.0-only
/* A guest that checks itself. See checker.h. */
#define _GNU_SOURCE
#include "checker.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PORT_FAILED	0x66
#define TIMER_VECTOR	0x40u		/* of vCPU 0 */
#define TICKS_PER_SECOND 200u
#define PATIENCE_NS	20000000000u
#define TURNS		20u
#define STILL_US	30000

/* The guest knows these offsets: */
struct area {
	uint64_t turns;			/* 0 */
	uint64_t last_tsc;		/* 8 */
	uint64_t round;			/* 16: of turns over all of @memory */
	uint64_t failure;		/* 24: of enum failure */
	uint64_t general[11];		/* 32: R8 to R15, RBX, RBP, RSI */
	uint64_t unused;
	uint64_t ymm[16][4];		/* 128 */
	uint64_t unused2[48];
	uint64_t memory[4096];		/* 1024: word i is i * R8 + round */
};

static const char *const failures[] = { "nothing", "a general register changed", "a YMM register changed",
	"the TSC went back", "memory changed" };

#define AREA(id)	(LONG_DATA + (id) * 0x40000u)
#define CODE(id)	(LONG_CODE + (id) * 0x4000u)

/* RDI: struct area. AL: what is being looked at, from @failures. */
GUEST_CODE(checker_code, 64,
	"mov	%cr4, %rax\n"
	"or	$0x40000, %eax\n"			/* OSXSAVE */
	"mov	%rax, %cr4\n"
	"xor	%ecx, %ecx\n"
	"xor	%edx, %edx\n"
	"mov	$7, %eax\n"
	"xsetbv\n"
	".irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"vmovups 128+32*\\n(%rdi), %ymm\\n\n"
	".endr\n"
	".irp	n, 8,9,10,11,12,13,14,15\n"
	"mov	32+8*(\\n-8)(%rdi), %r\\n\n"
	".endr\n"
	"mov	96(%rdi), %rbx\n"
	"mov	104(%rdi), %rbp\n"
	"mov	112(%rdi), %rsi\n"
	"sti\n"

	"1:	mov $1, %eax\n"
	".irp	n, 8,9,10,11,12,13,14,15\n"
	"cmp	32+8*(\\n-8)(%rdi), %r\\n\n"
	"jne	9f\n"
	".endr\n"
	"cmp	96(%rdi), %rbx\n"
	"jne	9f\n"
	"cmp	104(%rdi), %rbp\n"
	"jne	9f\n"
	"cmp	112(%rdi), %rsi\n"
	"jne	9f\n"

	"mov	$2, %eax\n"
	"vxorps	128+32*15(%rdi), %ymm15, %ymm15\n"	/* then it is free for the others */
	"vptest	%ymm15, %ymm15\n"
	"jnz	9f\n"
	".irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14\n"
	"vxorps	128+32*\\n(%rdi), %ymm\\n, %ymm15\n"
	"vptest	%ymm15, %ymm15\n"
	"jnz	9f\n"
	".endr\n"
	"vmovups 128+32*15(%rdi), %ymm15\n"

	"rdtsc\n"
	"shl	$32, %rdx\n"
	"or	%rdx, %rax\n"
	"mov	8(%rdi), %rdx\n"
	"mov	%rax, 8(%rdi)\n"
	"cmp	%rdx, %rax\n"
	"mov	$3, %eax\n"
	"jb	9f\n"

	"mov	(%rdi), %rcx\n"				/* 64 words a turn */
	"and	$63, %ecx\n"
	"shl	$6, %ecx\n"
	"mov	$64, %edx\n"
	"2:	mov %rcx, %rax\n"
	"imul	%r8, %rax\n"
	"add	16(%rdi), %rax\n"
	"cmp	%rax, 1024(%rdi,%rcx,8)\n"
	"jne	8f\n"
	"inc	%rax\n"
	"mov	%rax, 1024(%rdi,%rcx,8)\n"
	"inc	%ecx\n"
	"dec	%edx\n"
	"jnz	2b\n"
	"incq	(%rdi)\n"
	"testb	$63, (%rdi)\n"
	"jnz	1b\n"
	"incq	16(%rdi)\n"
	"jmp	1b\n"

	"8:	mov $4, %eax\n"
	"9:	cli\n"
	"mov	%rax, 24(%rdi)\n"
	"out	%al, $0x66\n"
	"jmp	9b\n");

static volatile struct area *area_of(struct checker *checker, uint32_t id)
{
	return (volatile struct area *)(checker->vm.memory + AREA(id));
}

static void fill_area(struct checker *checker, uint32_t id)
{
	struct area *area = (struct area *)(checker->vm.memory + AREA(id));
	uint64_t seed = 0x9e3779b97f4a7c15u + id;

	memset(area, 0, sizeof(*area));
	for (size_t i = 0; i < COUNT(area->general); i++)
		area->general[i] = random_next(&seed);
	for (size_t i = 0; i < COUNT(area->ymm); i++)
		for (size_t j = 0; j < COUNT(area->ymm[i]); j++)
			area->ymm[i][j] = random_next(&seed);
	for (size_t i = 0; i < COUNT(area->memory); i++)
		area->memory[i] = i * area->general[0];
}

static void emit_checker(struct checker *checker, uint32_t id)
{
	struct code code = { .vm = &checker->vm, .gpa = CODE(id), .x2apic = true };
	const uint32_t area = AREA(id);

	emit_apic_enable(&code);
	emit_apic_write(&code, APIC_LVT_TIMER, LVT_PERIODIC | (TIMER_VECTOR + id));
	emit_apic_write(&code, APIC_DIVIDE, DIVIDE_BY_1);
	emit_apic_write(&code, APIC_INITIAL, device_info().apic_timer_hz / TICKS_PER_SECOND);
	emit(&code, "\xbf");				/* mov edi, the area */
	emit_bytes(&code, &area, sizeof(area));
	emit_bytes(&code, checker_code, CODE_BYTES(checker_code));
}

/* Until checker_stop() or the guest's own complaint. */
static void *checker_run(void *context)
{
	struct checker_thread *thread = context;
	struct vhm_run *run = thread->vcpu->run;

	thread->tid = gettid();
	while (!thread->stop) {
		long value = vcpu_run(thread->vcpu);

		if (value == -EINTR || (!value && run->exit_reason == VHM_EXIT_KICKED))
			continue;
		printf("# vCPU %u: error %ld, exit '%s' (port %#x), hardware %#x, RIP %#llx\n",
		       thread->vcpu->id, -value, exit_name(run->exit_reason), run->io.port,
		       run->hardware_reason, (unsigned long long)run->regs.rip);
		thread->failed = true;
		break;
	}
	return NULL;
}

static void share_memory(struct vm *vm)
{
	must(vm_remove_slot(vm, 0));
	if (mmap(vm->memory, vm->memory_bytes, PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, -1, 0) != vm->memory)
		give_up("guest memory: %s", strerror(errno));
	must(vm_add_slot(vm, 0, 0, 0, vm->memory_bytes, vm->memory));
}

void checker_start(struct checker *checker, enum checker_memory memory)
{
	uint32_t id;

	*checker = (struct checker) { 0 };
	vm_create(&checker->vm, 0);
	if (memory == CHECKER_SHARED)
		share_memory(&checker->vm);
	guest_long_tables(&checker->vm);
	guest_mail(&checker->vm)->eoi = EOI_X2APIC;
	guest_mail(&checker->vm)->silent = 1;
	for (id = 0; id < CHECKER_VCPUS; id++) {
		vcpu_create(&checker->vcpu[id], &checker->vm, id);
		vcpu_set_cpuid(&checker->vcpu[id]);
		fill_area(checker, id);
		emit_checker(checker, id);
		guest_long_enter(&checker->vcpu[id], CODE(id));
		must(vcpu_set(&checker->vcpu[id], VHM_SECTION_EVENTS, &(struct vhm_events) {
			.run_state = VHM_RUN_STATE_RUNNABLE }));
	}
	for (id = 0; id < CHECKER_VCPUS; id++) {
		checker->threads[id].vcpu = &checker->vcpu[id];
		checker->threads[id].thread = thread_start(checker_run, &checker->threads[id]);
	}
}

/* What the guest has found, and exceptions, none of which it causes. */
static bool clean(struct checker *checker, uint32_t id)
{
	uint64_t failure = area_of(checker, id)->failure;
	const volatile uint32_t *count = guest_mail(&checker->vm)->count;
	unsigned int vector;

	if (failure)
		printf("# vCPU %u: %s\n", id, failure < COUNT(failures) ? failures[failure] : "?");
	for (vector = 0; vector < 32; vector++)
		if (count[vector])
			printf("# %u exceptions %u in the guest\n", count[vector], vector);
	for (vector = 0; vector < 32 && !count[vector]; vector++)
		;
	return !failure && vector == 32 && !checker->threads[id].failed;
}

bool checker_stop(struct checker *checker)
{
	bool good = true;
	uint32_t id;

	for (id = 0; id < CHECKER_VCPUS; id++) {
		checker->threads[id].stop = true;
		must(vcpu_kick(&checker->vcpu[id]));
		thread_join(checker->threads[id].thread);
		good = clean(checker, id) && good;
	}
	for (id = 0; id < CHECKER_VCPUS; id++)
		vcpu_destroy(&checker->vcpu[id]);
	vm_destroy(&checker->vm);
	return good;
}

static uint64_t ticks_of(struct checker *checker, uint32_t id)
{
	return ((volatile struct guest_mail *)guest_mail(&checker->vm))->count[TIMER_VECTOR + id];
}

bool checker_goes_on(struct checker *checker)
{
	uint64_t turns[CHECKER_VCPUS], ticks[CHECKER_VCPUS], end = now_ns() + PATIENCE_NS;
	uint32_t id;

	for (id = 0; id < CHECKER_VCPUS; id++) {
		turns[id] = area_of(checker, id)->turns;
		ticks[id] = ticks_of(checker, id);
	}
	for (id = 0; id < CHECKER_VCPUS; id++) {
		while (area_of(checker, id)->turns < turns[id] + TURNS ||
		       ticks_of(checker, id) == ticks[id]) {
			if (!clean(checker, id))
				return false;
			if (now_ns() > end) {
				printf("# vCPU %u stands: %llu turns, %llu ticks since\n", id,
				       (unsigned long long)(area_of(checker, id)->turns - turns[id]),
				       (unsigned long long)(ticks_of(checker, id) - ticks[id]));
				return false;
			}
			sleep_us(POLL_US / 5);
		}
	}
	return true;
}

bool checker_stands_still(struct checker *checker)
{
	uint64_t turns[CHECKER_VCPUS];
	uint32_t id;

	for (id = 0; id < CHECKER_VCPUS; id++)
		turns[id] = area_of(checker, id)->turns;
	sleep_us(STILL_US);
	for (id = 0; id < CHECKER_VCPUS; id++)
		if (area_of(checker, id)->turns != turns[id]) {
			printf("# vCPU %u runs on\n", id);
			return false;
		}
	return true;
}
