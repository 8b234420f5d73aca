// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register state of threads: each fills all its registers with a pattern of its own, spends a while,
 * and finds the pattern again; general registers, x87, MXCSR and whatever vector registers the CPU
 * has (through XSAVE, so a new component needs no code here), and the GS base.
 *
 * Meanwhile it computes and is preempted, or calls the kernel, or moves to another CPU, or signals
 * itself; and a timer interrupts it with a handler that overwrites everything.
 */
#include "stress.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hold.h"

#define MOST_WORKERS	(2 * MAX_CPUS)
#define SIGNAL		(SIGRTMIN + 2)
#define SIGNAL_EACH_NS	(7 * NSEC_PER_MSEC)

/* Components of XSAVE (SDM vol. 1, 13.1): x87, SSE, AVX, and the three of AVX-512. */
#define FEATURES_TESTED	0xe7u
#define FEATURES_LEGACY	0x3u
#define LEAF_XSAVE	0xdu

/* The legacy region of the XSAVE area (SDM vol. 1, 13.4.1). */
#define AREA_FCW	0u
#define AREA_FSW	2u
#define AREA_FTW	4u
#define AREA_MXCSR	24u
#define AREA_ST		32u
#define AREA_XMM	160u
#define AREA_HEADER	512u
#define ST_BYTES	10u
#define MXCSR_DEFAULT	0x1f80u
#define FCW_DEFAULT	0x37fu

/* One part of the area that is compared. */
struct part {
	const char *name;
	uint32_t offset;
	uint32_t bytes;
};

static struct part parts[24];
static unsigned int part_count;
static uint64_t features;
static struct hold initial;
static struct state {
	struct hold in, out, noise;
} states[MOST_WORKERS];
static __thread struct state *current;

static void on_signal(int number)
{
	(void)number;
	if (current)
		scribble(&current->noise);
}

static void add_part(const char *name, uint32_t offset, uint32_t bytes)
{
	parts[part_count++] = (struct part){ name, offset, bytes };
}

/* False: the CPU or its kernel has no XSAVE, or it is too large for us. */
static bool find_parts(void)
{
	static const char *const names[] = {
		[2] = "upper halves of YMM", [5] = "opmask", [6] = "upper halves of ZMM0-15",
		[7] = "ZMM16-31",
	};
	static const char *const stack[] = { "ST0", "ST1", "ST2", "ST3", "ST4", "ST5", "ST6", "ST7" };
	uint32_t eax, ebx, ecx, edx, low, high;
	unsigned int i;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
		return false;
	__asm__("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
	features = low & FEATURES_TESTED;
	add_part("FCW, FSW, FTW", AREA_FCW, AREA_FTW + 1);
	add_part("MXCSR", AREA_MXCSR, 4);
	for (i = 0; i < 8; i++)
		add_part(stack[i], AREA_ST + 16 * i, ST_BYTES);
	add_part("XMM", AREA_XMM, 16 * 16);
	for (i = 2; i < ARRAY_LENGTH(names); i++) {
		if (!(features & (1u << i)))
			continue;
		__cpuid_count(LEAF_XSAVE, i, eax, ebx, ecx, edx);
		if (ebx + eax > HOLD_XSAVE_BYTES)
			return false;
		add_part(names[i], ebx, eax);
	}
	return true;
}

static void put(uint8_t *area, uint32_t offset, uint32_t value, unsigned int bytes)
{
	memcpy(area + offset, &value, bytes);
}

/* Random contents; the control words keep all exceptions masked, and none is pending. */
static void fill(struct hold *hold, uint64_t *random)
{
	static const uint16_t precisions[] = { 0x000, 0x200, 0x300 };
	uint64_t chance = next_random(random);
	unsigned int i, byte;

	for (i = 0; i < HOLD_REGISTERS; i++)
		hold->general[i] = next_random(random);
	for (i = 0; i < part_count; i++) {
		for (byte = 0; byte + 8 <= parts[i].bytes; byte += 8) {
			uint64_t value = next_random(random);

			memcpy(hold->xsave + parts[i].offset + byte, &value, 8);
		}
	}
	put(hold->xsave, AREA_FCW, (FCW_DEFAULT & ~0xf00u) | precisions[chance % 3] |
	    (chance >> 8 & 3) << 10, 2);
	put(hold->xsave, AREA_FSW, (uint32_t)(chance >> 16) & 0x7f00u & ~0x8080u, 2);
	put(hold->xsave, AREA_FTW, 0xff, 1);
	put(hold->xsave, AREA_MXCSR, MXCSR_DEFAULT | ((uint32_t)(chance >> 32) & 0xe07f), 4);
	memset(hold->xsave + AREA_HEADER, 0, 64);
	put(hold->xsave, AREA_HEADER, (uint32_t)features, 4);
	hold->features = features;
}

enum way { COMPUTE, YIELD, CALL, SIGNAL_SELF, MIGRATE, WAYS };

static void plan(struct worker *worker, struct hold *in, const cpu_set_t *set)
{
	uint64_t random = next_random(&worker->random);

	in->rounds = 1 + (random >> 8) % 4;
	memset(in->call, 0, sizeof(in->call));
	switch (random % WAYS) {
	case COMPUTE:
		in->rounds = 1 + (random >> 8) % 20000;
		in->call[0] = (uint64_t)HOLD_NO_CALL;
		break;
	case YIELD:
		in->call[0] = SYS_sched_yield;
		break;
	case CALL:
		in->call[0] = SYS_getppid;
		break;
	case SIGNAL_SELF:
		in->call[0] = SYS_tgkill;
		in->call[1] = (uint64_t)getpid();
		in->call[2] = (uint64_t)worker->tid;
		in->call[3] = (uint64_t)SIGNAL;
		break;
	case MIGRATE:
		in->rounds = 1;
		in->call[0] = SYS_sched_setaffinity;
		in->call[2] = sizeof(*set);
		in->call[3] = (uint64_t)(uintptr_t)set;
		break;
	}
}

static void damage(struct hold *out)
{
	if (inject(FAULT_FPU_VECTOR))
		out->xsave[parts[part_count - 1].offset + parts[part_count - 1].bytes - 1] ^= 0x10;
	if (inject(FAULT_FPU_CONTROL))
		out->xsave[AREA_MXCSR + 1] ^= 0x20;
	if (inject(FAULT_FPU_X87))
		out->xsave[AREA_ST + 7 * 16] ^= 1;
	if (inject(FAULT_FPU_GENERAL))
		out->general[12] ^= 1;
}

static void check_general(struct worker *worker, const struct hold *in, const struct hold *out)
{
	static const char names[HOLD_REGISTERS][4] = {
		"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12",
		"r13", "r14", "r15",
	};
	bool call = in->call[0] != (uint64_t)HOLD_NO_CALL;
	unsigned int i;

	for (i = 0; i < HOLD_REGISTERS; i++) {
		uint64_t wanted = in->general[i];

		/* rax, rcx and r11 are the system call's; rdx, rsi and rdi its arguments. */
		if (call && (i == 2 || i == 10))
			continue;
		if (call && i == 0)
			wanted = in->call[0] == SYS_getppid ? (uint64_t)getppid() : 0;
		if (call && i >= 3 && i <= 5)
			wanted = in->call[6 - i];
		if (out->general[i] != wanted)
			mismatch(worker, "%s is 0x%llx instead of 0x%llx, system call %lld", names[i],
				 (unsigned long long)out->general[i], (unsigned long long)wanted,
				 (long long)in->call[0]);
	}
}

static void check_vectors(struct worker *worker, const struct hold *in, const struct hold *out)
{
	unsigned int i, byte;

	for (i = 0; i < part_count; i++) {
		const uint8_t *wanted = in->xsave + parts[i].offset;
		const uint8_t *got = out->xsave + parts[i].offset;

		if (!memcmp(wanted, got, parts[i].bytes))
			continue;
		for (byte = 0; wanted[byte] == got[byte]; byte++)
			;
		mismatch(worker, "%s, byte %u of %u: 0x%02x instead of 0x%02x, system call %lld",
			 parts[i].name, byte, parts[i].bytes, got[byte], wanted[byte],
			 (long long)in->call[0]);
	}
}

static void hold_once(struct worker *worker, struct state *state, unsigned int nth)
{
	uint64_t gs = next_random(&worker->random) >> 18, gs_now = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned int)cpu_number(nth), &set);
	fill(&state->in, &worker->random);
	plan(worker, &state->in, &set);
	must(worker, !syscall(SYS_arch_prctl, ARCH_SET_GS, gs), "arch_prctl(ARCH_SET_GS)");
	hold(&state->in, &state->out, &initial);
	must(worker, !syscall(SYS_arch_prctl, ARCH_GET_GS, &gs_now), "arch_prctl(ARCH_GET_GS)");
	if (inject(FAULT_FPU_GS))
		gs_now++;
	damage(&state->out);
	if (gs_now != gs)
		mismatch(worker, "the GS base is 0x%llx instead of 0x%llx",
			 (unsigned long long)gs_now, (unsigned long long)gs);
	check_general(worker, &state->in, &state->out);
	check_vectors(worker, &state->in, &state->out);
	done(worker);
}

static void fpu_run(struct worker *worker)
{
	struct itimerspec each = {
		.it_value.tv_nsec = SIGNAL_EACH_NS, .it_interval.tv_nsec = SIGNAL_EACH_NS,
	};
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGNAL };
	struct state *state = &states[worker->index];
	unsigned int nth = worker->cpu;
	timer_t timer;

	event._sigev_un._tid = worker->tid;
	fill(&state->noise, &worker->random);
	current = state;
	must(worker, !timer_create(CLOCK_MONOTONIC, &event, &timer) &&
	     !timer_settime(timer, 0, &each, NULL), "timer");
	while (!stopping()) {
		hold_once(worker, state, nth);
		/* One half always goes back to the same CPU, with the neighbours to share it. */
		nth = worker->index % 2 ? worker->cpu : nth + 1;
	}
	timer_delete(timer);
	current = NULL;
}

static void fpu_prepare(struct worker *workers, unsigned int count)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	(void)count;
	if (!find_parts())
		mismatch(workers, "this CPU has no XSAVE, or more state than expected");
	initial.features = features;
	put(initial.xsave, AREA_MXCSR, MXCSR_DEFAULT, 4);
	must(workers, !sigaction(SIGNAL, &action, NULL), "sigaction");
}

static unsigned int fpu_workers(unsigned int cpus)
{
	return 2 * cpus;
}

const struct kind kind_fpu = {
	.name = "fpu",
	.workers = fpu_workers,
	.prepare = fpu_prepare,
	.run = fpu_run,
};
