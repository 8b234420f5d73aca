// SPDX-License-Identifier: GPL-2.0-only
/* A guest that writes and checks a pattern over all of its memory. See pattern.h. */
#define _GNU_SOURCE
#include "pattern.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pages.h"

#define PATIENCE_NS	180000000000u
#define PORT_WRONG	0x66
#define FILE_COPY_OFFSET (16 << 20)	/* of the private mapping in its file, which stays zeros */

/* Tables of a word for each page, in the guest's own memory. The guest knows where. */
#define PASSES		0x100000	/* that its owner has completed */
#define CONTROL		0x110000	/* of enum control, the VMM's */
#define FIRST_INDEX	0x120000	/* of the page's first line */
#define TABLE_PAGES	0x4000u
#define PAGE_LINES	64

enum control { LOSSY = 1, HELD = 2 };

/*
 * A line is its index, from 1 on so that it is never 0, and in the upper half the pass.
 *
 * RBX: first page, R14: number of pages, R15: 0 or 1, which of them are this vCPU's. A loss is told
 * by a second look at what the VMM says of the page, since it says so before it happens.
 */
GUEST_CODE(go_over_pattern, 64,
	"1:	xor %r8d, %r8d\n"
	"2:	mov %r8, %rdx\n"
	"shl	$12, %rdx\n"
	"add	%rbx, %rdx\n"
	"mov	0x120000(,%r8,4), %r9d\n"
	"mov	0x100000(,%r8,4), %r10d\n"
	"mov	$64, %ecx\n"
	"mov	%r8d, %eax\n"
	"xor	%r15d, %eax\n"
	"test	$1, %al\n"
	"jnz	5f\n"
	"testb	$2, 0x110000(,%r8,4)\n"
	"jnz	5f\n"

	/* its own: R10 is what a line must be, R12 what it becomes */
	"mov	%r10, %r12\n"
	"inc	%r12\n"
	"shl	$32, %r12\n"
	"shl	$32, %r10\n"
	"or	%r9, %r10\n"
	"or	%r9, %r12\n"
	"3:	mov (%rdx), %rax\n"
	"cmp	%r10, %rax\n"
	"jne	7f\n"
	"4:	mov %r12, (%rdx)\n"
	"inc	%r10\n"
	"inc	%r12\n"
	"add	$64, %rdx\n"
	"dec	%ecx\n"
	"jnz	3b\n"
	"shr	$32, %r12\n"
	"mov	%r12d, 0x100000(,%r8,4)\n"
	"jmp	6f\n"

	/* the other's, or one that is held */
	"5:	mov (%rdx), %rax\n"
	"cmp	%r9d, %eax\n"
	"jne	8f\n"
	"mov	%rax, %r12\n"
	"shr	$32, %r12\n"
	"cmp	%r10d, %r12d\n"
	"jb	9f\n"
	"55:	inc %r9d\n"
	"add	$64, %rdx\n"
	"dec	%ecx\n"
	"jnz	5b\n"

	"6:	inc %r8\n"
	"cmp	%r14, %r8\n"
	"jb	2b\n"
	"incq	" MAIL_FLAG "(,%r15,8)\n"
	"jmp	1b\n"

	"7:	test %rax, %rax\n"
	"jnz	9f\n"
	"testb	$1, 0x110000(,%r8,4)\n"
	"jz	9f\n"
	"incq	" MAIL_FLAG "+16(,%r15,8)\n"
	"jmp	4b\n"
	"8:	test %rax, %rax\n"
	"jnz	9f\n"
	"testb	$1, 0x110000(,%r8,4)\n"
	"jz	9f\n"
	"incq	" MAIL_FLAG "+16(,%r15,8)\n"
	"jmp	55b\n"
	"9:	out %al, $0x66\n"
	"jmp	9b\n");

static const char *const kind_names[AREA_KINDS] = {
	[AREA_SMALL] = "small pages", [AREA_LARGE] = "large pages", [AREA_SAME] = "same pages",
	[AREA_SCRATCH] = "scratch", [AREA_WATCHED] = "watched", [AREA_MEMFD] = "memfd",
	[AREA_FILE] = "file", [AREA_FILE_COPY] = "private file", [AREA_HUGETLB] = "hugetlb",
	[AREA_HUGETLB_COPY] = "private hugetlb",
};

static volatile uint32_t *table(struct pattern *pattern, uint32_t gpa)
{
	return (volatile uint32_t *)(pattern->vm.memory + gpa);
}

static volatile uint64_t *flag(struct pattern *pattern, uint32_t index)
{
	return &guest_mail(&pattern->vm)->flag[index];
}

/* ------------------------------------------------------------------ areas -- */

static uint8_t *map_area(enum area_kind kind, size_t bytes, int fd)
{
	const int rights = PROT_READ | PROT_WRITE;
	uint8_t *memory;

	switch (kind) {
	case AREA_MEMFD:
	case AREA_FILE:
	case AREA_HUGETLB:
		return mmap(NULL, bytes, rights, MAP_SHARED, fd, 0);
	case AREA_FILE_COPY:
		return mmap(NULL, bytes, rights, MAP_PRIVATE, fd, FILE_COPY_OFFSET);
	case AREA_HUGETLB_COPY:
		return map_hugetlb(bytes, 0);
	default:
		memory = map_aligned(bytes, 0);
		if (kind != AREA_LARGE)
			must(madvise(memory, bytes, MADV_NOHUGEPAGE));
		return memory;
	}
}

void pattern_init(struct pattern *pattern)
{
	*pattern = (struct pattern) { 0 };
	vm_create(&pattern->vm, 0);
	guest_long_tables(&pattern->vm);
	memcpy(pattern->vm.memory + LONG_CODE, go_over_pattern, CODE_BYTES(go_over_pattern));
}

void pattern_add(struct pattern *pattern, enum area_kind kind, size_t bytes, int fd)
{
	struct area *area = &pattern->areas[kind];
	uint32_t first = pattern->pages, pages = (uint32_t)(bytes / PAGE_BYTES);

	*area = (struct area) { .bytes = bytes, .first_page = first, .fd = fd };
	pthread_mutex_init(&area->lock, NULL);
	if (pages > TABLE_PAGES - first)
		give_up("no table for %zu bytes", bytes);
	area->memory = map_area(kind, bytes, fd);
	if (area->memory == MAP_FAILED)
		give_up("%s: %s", kind_names[kind], strerror(errno));
	for (uint32_t page = first; page < first + pages; page++)
		table(pattern, FIRST_INDEX)[page] =
			1 + (kind == AREA_SAME ? 0 : page * PAGE_LINES);
	must(vm_add_slot(&pattern->vm, 1 + kind, 0, WINDOW + (uint64_t)first * PAGE_BYTES, bytes,
			 area->memory));
	pattern->pages += pages;
}

void pattern_uninit(struct pattern *pattern)
{
	for (uint32_t id = 0; id < PATTERN_VCPUS; id++)
		vcpu_destroy(&pattern->vcpu[id]);
	vm_destroy(&pattern->vm);
	for (struct area *area = pattern->areas; area < pattern->areas + AREA_KINDS; area++)
		if (area->memory)
			munmap(area->memory, area->bytes);
}

/* ---------------------------------------------------------------- running -- */

static void say_what_was_wrong(struct pattern *pattern, struct vcpu *vcpu)
{
	const struct vhm_registers *regs = &vcpu->run->regs;
	const char *name = "?";

	if (vcpu->run->exit_reason != VHM_EXIT_IO || vcpu->run->io.port != PORT_WRONG) {
		printf("# vCPU %u: exit '%s', hardware %#x, RIP %#llx\n", vcpu->id,
		       exit_name(vcpu->run->exit_reason), vcpu->run->hardware_reason,
		       (unsigned long long)regs->rip);
		return;
	}
	for (int kind = 0; kind < AREA_KINDS; kind++)
		if (pattern->areas[kind].memory &&
		    regs->r8 >= pattern->areas[kind].first_page &&
		    regs->r8 - pattern->areas[kind].first_page <
		    pattern->areas[kind].bytes / PAGE_BYTES)
			name = kind_names[kind];
	printf("# vCPU %u: page %llu (%s), line %llu is %#llx; first pass %#llx, index %#llx, completed %u, control %u\n",
	       vcpu->id, (unsigned long long)regs->r8, name,
	       (unsigned long long)(PAGE_LINES - regs->rcx), (unsigned long long)regs->rax,
	       (unsigned long long)regs->r10, (unsigned long long)regs->r9,
	       table(pattern, PASSES)[regs->r8], table(pattern, CONTROL)[regs->r8]);
}

static void *run_pattern(void *context)
{
	struct pattern_thread *thread = context;
	struct pattern *pattern = thread->pattern;
	struct vcpu *vcpu = thread->vcpu;

	while (!pattern->stop) {
		long error = vcpu_run(vcpu);

		if (error == -EINTR || (!error && vcpu->run->exit_reason == VHM_EXIT_KICKED))
			continue;
		if (error || vcpu->run->exit_reason != VHM_EXIT_MEMORY_FAULT) {
			if (error)
				printf("# vCPU %u: error %ld\n", vcpu->id, -error);
			else
				say_what_was_wrong(pattern, vcpu);
			pattern->failed = true;
			break;
		}
		__atomic_fetch_add(&pattern->absent, 1, __ATOMIC_RELAXED);
		sched_yield();
	}
	return NULL;
}

static void set_control(struct pattern *pattern, const struct area *area, uint32_t set, uint32_t clear)
{
	volatile uint32_t *control = table(pattern, CONTROL) + area->first_page;

	for (uint32_t page = 0; page < area->bytes / PAGE_BYTES; page++)
		control[page] = (control[page] & ~clear) | set;
}

void pattern_start(struct pattern *pattern)
{
	for (struct area *area = pattern->areas; area < pattern->areas + AREA_KINDS; area++)
		if (area->memory)
			pattern_may_lose(pattern, area);
	for (uint32_t id = 0; id < PATTERN_VCPUS; id++) {
		struct vcpu *vcpu = &pattern->vcpu[id];
		struct vhm_registers regs = {
			.rip = LONG_CODE, .rsp = LONG_STACK(id), .rflags = 2, .rbx = WINDOW,
			.r14 = pattern->pages, .r15 = id,
		};

		vcpu_create(vcpu, &pattern->vm, id);
		guest_long_enter(vcpu, LONG_CODE);
		must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
		must(vcpu_set(vcpu, VHM_SECTION_EVENTS, &(struct vhm_events) {
			.run_state = VHM_RUN_STATE_RUNNABLE }));
		pattern->threads[id] = (struct pattern_thread) { pattern, vcpu, NULL };
		pattern->threads[id].thread = thread_start(run_pattern, &pattern->threads[id]);
	}
	if (!pattern_goes_on(pattern, 2))
		give_up("the guest does not even start");
	for (struct area *area = pattern->areas; area < pattern->areas + AREA_KINDS; area++)
		if (area->memory)
			set_control(pattern, area, 0, LOSSY);
}

bool pattern_stop(struct pattern *pattern)
{
	bool good = pattern_goes_on(pattern, 2);

	pattern->stop = true;
	for (uint32_t id = 0; id < PATTERN_VCPUS; id++) {
		must(vcpu_kick(&pattern->vcpu[id]));
		thread_join(pattern->threads[id].thread);
	}
	return good && !pattern->failed;
}

bool pattern_goes_on(struct pattern *pattern, uint32_t passes)
{
	uint64_t end = now_ns() + PATIENCE_NS, from[PATTERN_VCPUS], pause_us = POLL_US;

	for (uint32_t id = 0; id < PATTERN_VCPUS; id++)
		from[id] = *flag(pattern, id);
	for (uint32_t id = 0; id < PATTERN_VCPUS; id++)
		while (*flag(pattern, id) - from[id] < passes) {
			if (pattern->failed)
				return false;
			if (now_ns() > end) {
				printf("# vCPU %u does not complete a pass\n", id);
				return false;
			}
			/* twenty threads that look often leave a slow host no time for the guest */
			sleep_us(pause_us);
			pause_us = pause_us < 20 * POLL_US ? 2 * pause_us : pause_us;
		}
	return true;
}

void pattern_may_lose(struct pattern *pattern, const struct area *area)
{
	set_control(pattern, area, LOSSY, 0);
}

/* The pass under way at the loss may have been past the page, so the one after it counts. */
bool pattern_loses_no_more(struct pattern *pattern, const struct area *area)
{
	bool good = pattern_goes_on(pattern, 2);

	set_control(pattern, area, 0, LOSSY);
	return good;
}

bool pattern_hold(struct pattern *pattern, const struct area *area)
{
	set_control(pattern, area, HELD, 0);
	return pattern_goes_on(pattern, 1);
}

void pattern_release(struct pattern *pattern, const struct area *area)
{
	set_control(pattern, area, 0, HELD);
}

uint64_t pattern_losses(struct pattern *pattern)
{
	return *flag(pattern, PATTERN_VCPUS) + *flag(pattern, PATTERN_VCPUS + 1);
}
