// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state round trip: while a guest that checks itself (round_trip_guest.S) runs, its vCPU is saved
 * in one call at whatever point it has stopped, loaded into a new vCPU of a new VM on the same memory,
 * and goes on there. The guest must never notice, and the VMM must get from the new vCPU what it
 * would have got from the old: each device access once, with the same data.
 *
 * Now and then the thread goes to another CPU. Where the guest stops is random: by a deadline some ticks ahead, a kick, a signal, a request to return, a
 * single step, or an exit of the guest's own, of which the VMM has done nothing, or all, or all
 * but telling the kernel. VHM_SEED repeats a run's choices.
 */
#define _GNU_SOURCE
#include <kselftest_harness.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "guest.h"
#include "round_trip.h"

#define STATE_BYTES	(64u << 10)
#define MOVES		1000u
#define GUEST_EXCEPTIONS ((1u << 0) | (1u << 1) | (1u << 3) | (1u << 6) | (1u << 7) | (1u << 13) | (1u << 14))
#define MARK_STEPS	60
#define SECONDS_MAX	200	/* of the slowest host */
#define PATIENCE_NS	(SECONDS_MAX * 1000000000ull)

extern const uint8_t round_trip_guest[], round_trip_guest_end[];
extern const uint8_t round_trip_handler[], round_trip_handler_end[];
/* code in which an exit is rare */
extern const uint8_t round_trip_rare[], round_trip_rare_end[];
extern const uint8_t round_trip_nmi[], round_trip_nmi_end[];

/* What saved states held: a test that never meets an interesting one proves nothing. */
enum seen {
	SEEN_HALTED, SEEN_SHADOW, SEEN_NMI_BLOCKED, SEEN_NMI_PENDING, SEEN_INTERRUPT, SEEN_EXCEPTION,
	SEEN_PENDING_DEBUG, SEEN_EOI, SEEN_IRR, SEEN_ISR, SEEN_TIMER, SEEN_DEADLINE, SEEN_STRING,
	SEEN_USER, SEEN_COUNT,
};

static const char *const seen_names[SEEN_COUNT] = {
	"halted", "interrupt shadow", "NMIs blocked", "NMI pending", "interrupt half delivered",
	"exception half delivered", "debug exception pending", "EOI to be told", "interrupt requested",
	"interrupt in service", "timer counting", "deadline armed", "string access half done", "user mode",
};

struct state {
	uint8_t bytes[STATE_BYTES] __attribute__((aligned(8)));
	uint64_t used;
};

/**
 * struct journey - a guest and the vCPU it is on at present
 * @vm: its VM
 * @vcpu: its vCPU
 * @random: state of random_next()
 * @step: the VMM also uses single steps
 * @stepping: single steps are on
 * @steps: to go
 * @moves: so far
 * @last_rip: RIP at the last move
 * @last_rcx: RCX
 * @stepped: RIP after the last two single steps
 * @sequence: device reads that were completed
 * @sent: device writes
 * @string_out: elements of the present string that were written
 * @level: level-triggered interrupts sent, each with an end to be told
 * @level_ends: those told
 * @edge: edge-triggered ones sent
 * @turns: of the guest
 * @by_reason: exits
 * @seen: by enum seen
 */
struct journey {
	struct vm vm;
	struct vcpu vcpu;
	uint64_t random;
	bool step, stepping;
	unsigned int steps, moves;
	uint64_t last_rip, last_rcx, stepped[2];
	uint32_t sequence, sent, string_out;
	uint32_t level, level_ends, edge;
	unsigned int turns;
	unsigned int by_reason[VHM_EXIT_DEADLINE + 1];
	unsigned int seen[SEEN_COUNT];
};

static uint32_t *word(struct journey *j, uint32_t gpa)
{
	return (uint32_t *)(j->vm.memory + gpa);
}

static uint64_t *quad(struct journey *j, uint32_t gpa)
{
	return (uint64_t *)(j->vm.memory + gpa);
}

static uint64_t below(struct journey *j, uint64_t limit)
{
	return (random_next(&j->random) >> 11) % limit;
}

/* ----------------------------------------------------------------------- saved state -- */

static void save(struct vcpu *vcpu, struct state *state)
{
	struct vhm_state arg = {
		.size = sizeof(arg),
		.buffer = (uintptr_t)state->bytes,
		.buffer_bytes = sizeof(state->bytes),
	};

	must(vhm_ioctl(vcpu->fd, VHM_VCPU_GET_STATE, &arg));
	state->used = arg.buffer_bytes;
}

static void load(struct vcpu *vcpu, const struct state *state)
{
	struct vhm_state arg = {
		.size = sizeof(arg),
		.buffer = (uintptr_t)state->bytes,
		.buffer_bytes = state->used,
	};

	must(vhm_ioctl(vcpu->fd, VHM_VCPU_SET_STATE, &arg));
}

static void *section(struct state *state, uint32_t type)
{
	uint64_t at = 0;

	while (at < state->used) {
		struct vhm_section *head = (struct vhm_section *)(state->bytes + at);

		if (head->type == type)
			return head + 1;
		at += sizeof(*head) + (head->bytes + 7) / 8 * 8;
	}
	give_up("no section %u", type);
}

static bool any_vector(const struct vhm_apic_state *apic, uint32_t base)
{
	uint32_t value, i;

	for (i = 0; i < 8; i++) {
		memcpy(&value, apic->registers + base + 16 * i, sizeof(value));
		if (value)
			return true;
	}
	return false;
}

static void note(struct journey *j, struct state *state)
{
	const struct vhm_events *events = section(state, VHM_SECTION_EVENTS);
	const struct vhm_apic_state *apic = section(state, VHM_SECTION_APIC);
	const struct vhm_sregisters *sregs = section(state, VHM_SECTION_SREGISTERS);
	const struct vhm_registers *regs = section(state, VHM_SECTION_REGISTERS);
	const uint32_t shadow = VHM_BLOCKED_BY_STI | VHM_BLOCKED_BY_MOV_SS;

	j->seen[SEEN_HALTED] += events->run_state == VHM_RUN_STATE_HALTED;
	j->seen[SEEN_SHADOW] += !!(events->interruptibility & shadow);
	j->seen[SEEN_NMI_BLOCKED] += !!(events->interruptibility & VHM_BLOCKED_BY_NMI);
	j->seen[SEEN_NMI_PENDING] += !!events->nmi_pending;
	j->seen[SEEN_INTERRUPT] += events->interrupt_pending;
	j->seen[SEEN_EXCEPTION] += !!events->exception.flags;
	j->seen[SEEN_PENDING_DEBUG] += !!events->pending_debug;
	j->seen[SEEN_EOI] += events->eoi_pending;
	j->seen[SEEN_IRR] += any_vector(apic, 0x200);
	j->seen[SEEN_ISR] += any_vector(apic, 0x100);
	j->seen[SEEN_TIMER] += !!apic->timer_remaining_ns;
	j->seen[SEEN_DEADLINE] += !!apic->timer_deadline_tsc;
	j->seen[SEEN_STRING] += (regs->rcx && regs->rcx < RT_STRING_OUTS &&
				 (uint16_t)regs->rdx == RT_PORT_STRING_OUT);
	j->seen[SEEN_USER] += (sregs->segment[VHM_SEGMENT_CS].selector & 3) == 3;
}

/* All that does not go on by itself is what was loaded. */
static void expect_same(struct state *before, struct state *after)
{
	uint64_t at = 0;

	if (before->used != after->used)
		give_up("the state had %llu bytes and has %llu", (unsigned long long)before->used,
			(unsigned long long)after->used);
	while (at < before->used) {
		struct vhm_section *old = (struct vhm_section *)(before->bytes + at);
		struct vhm_section *new = (struct vhm_section *)(after->bytes + at);
		uint32_t i, bytes = sizeof(*old) + (old->bytes + 7) / 8 * 8;

		for (i = 0; i < bytes; i++)
			if (before->bytes[at + i] != after->bytes[at + i] &&
			    old->type != VHM_SECTION_TIME && old->type != VHM_SECTION_APIC)
				give_up("section %u: byte %u was %#x and is %#x", new->type,
					i - (uint32_t)sizeof(*old), before->bytes[at + i],
					after->bytes[at + i]);
		at += bytes;
	}
}

/* --------------------------------------------------------------------------- moving -- */

static void set_control(struct journey *j, bool step, uint32_t exceptions)
{
	struct vhm_vcpu_control control = {
		.size = sizeof(control),
		.flags = step ? VHM_CONTROL_SINGLE_STEP : 0,
		.exceptions = exceptions,
	};

	must(vhm_ioctl(j->vcpu.fd, VHM_VCPU_SET_CONTROL, &control));
	j->stepping = step;
}

/*
 * To a new vCPU of a new VM, the old one closed. What the VMM has put into the run page and not yet
 * told the kernel goes with it.
 */
static void move(struct journey *j)
{
	static struct state before, after;
	struct vm old_vm = j->vm;
	struct vcpu old = j->vcpu;
	struct vhm_run *run = old.run;

	save(&old, &before);
	note(j, &before);
	j->vm.fd = (int)must(vm_create_fd(j->vm.device, 0));
	must(vm_add_slot(&j->vm, 0, 0, 0, j->vm.memory_bytes, j->vm.memory));
	vcpu_create(&j->vcpu, &j->vm, old.id);
	load(&j->vcpu, &before);
	save(&j->vcpu, &after);
	expect_same(&before, &after);
	j->vcpu.run->regs = run->regs;
	j->vcpu.run->request = run->request;
	j->vcpu.run->retire_bytes = run->retire_bytes;
	j->vcpu.run->inject = run->inject;
	j->vcpu.run->exit_reason = run->exit_reason;
	j->last_rip = run->regs.rip;
	j->last_rcx = run->regs.rcx;
	vcpu_destroy(&old);
	close(old_vm.fd);
	if (j->steps)
		set_control(j, true, 0);
	else
		j->stepping = false;
	j->moves++;
}

/* What the VMM has put into the run page becomes state. */
static void settle(struct journey *j)
{
	j->vcpu.run->request |= VHM_RUN_RETURN;
	if (vcpu_exit(&j->vcpu) != VHM_EXIT_KICKED)
		give_up("exit '%s' instead of a return", exit_name(j->vcpu.run->exit_reason));
}

/* -------------------------------------------------------------------------- devices -- */

static uint32_t next_read(struct journey *j)
{
	return ++j->sequence * RT_FACTOR;
}

static void merge(__u64 *reg, uint32_t value, uint32_t bytes)
{
	if (bytes == 4)
		*reg = value;
	else
		memcpy(reg, &value, bytes);
}

/* One element; the instruction is over with the last. */
static void do_string(struct journey *j)
{
	struct vhm_run *run = j->vcpu.run;
	struct vhm_registers *regs = guest_registers(&j->vcpu);
	uint8_t *memory = j->vm.memory + run->io.linear_address;
	uint32_t value;

	if (run->io.linear_address + run->io.bytes > j->vm.memory_bytes)
		give_up("string at %#llx", (unsigned long long)run->io.linear_address);
	if (run->io.flags & VHM_IO_IN) {
		value = next_read(j);
		memcpy(memory, &value, run->io.bytes);
		regs->rdi += run->io.bytes;
	} else {
		if (*memory != (uint8_t)(0xa0 + j->string_out))
			give_up("string element %u is %#x", j->string_out, *memory);
		j->string_out = (j->string_out + 1) % RT_STRING_OUTS;
		regs->rsi += run->io.bytes;
	}
	if (--regs->rcx == 0)
		vcpu_retire(&j->vcpu);
}

/* A turn of the guest is over: what it was sent during the last one has arrived. */
static void end_turn(struct journey *j, uint32_t turn)
{
	if (turn != j->turns + 1)
		give_up("turn %u comes after %u", turn, j->turns);
	j->turns = turn;
	if (word(j, RT_COUNT)[RT_EDGE_VECTOR] != j->edge)
		give_up("%u of %u edge-triggered interrupts", word(j, RT_COUNT)[RT_EDGE_VECTOR], j->edge);
	if (word(j, RT_COUNT)[RT_LEVEL_VECTOR] != j->level || j->level_ends != j->level)
		give_up("%u level-triggered interrupts: %u came, %u ended", j->level,
			word(j, RT_COUNT)[RT_LEVEL_VECTOR], j->level_ends);
	must(vm_msi(&j->vm, 0xfee00000, RT_EDGE_VECTOR));
	j->edge++;
	must(vm_msi(&j->vm, 0xfee00000, RT_LEVEL_VECTOR | 3 << 14));
	j->level++;
}

static void do_io(struct journey *j)
{
	struct vhm_run *run = j->vcpu.run;
	uint32_t bytes = run->io.bytes;

	if (run->io.flags & VHM_IO_STRING) {
		do_string(j);
		return;
	}
	switch (run->io.port) {
	case RT_PORT_IN:
		merge(&guest_registers(&j->vcpu)->rax, next_read(j), bytes);
		break;
	case RT_PORT_OUT:
		if (run->io.data != ++j->sent)
			give_up("write %u says %u", j->sent, run->io.data);
		break;
	case RT_PORT_MARK:
		if (!j->step)
			break;
		set_control(j, true, 0);
		j->steps = MARK_STEPS;
		break;
	case RT_PORT_TURN:
		end_turn(j, run->io.data);
		break;
	case RT_PORT_FAILED:
		give_up("round_trip_guest.S:%u: after %u moves, in turn %u", run->io.data, j->moves,
			j->turns);
	default:
		give_up("port %#x", run->io.port);
	}
	vcpu_retire(&j->vcpu);
}

/* MOV EAX, [RBX] or MOV [RBX], EAX: the only ones the guest uses. */
static void do_mmio(struct journey *j)
{
	struct vhm_run *run = j->vcpu.run;
	const uint8_t *insn = j->vm.memory + run->regs.rip;
	bool write = insn[0] == 0x89;
	struct vhm_apic_access access = {
		.size = sizeof(access),
		.flags = write ? VHM_APIC_WRITE : 0,
		.offset = run->mmio.gpa & 0xff0,
		.value = (uint32_t)run->regs.rax,
	};

	if ((insn[0] != 0x89 && insn[0] != 0x8b) || insn[1] != 0x03)
		give_up("MMIO by %02x %02x at %#llx", insn[0], insn[1],
			(unsigned long long)run->regs.rip);
	if (run->mmio.flags & VHM_MMIO_APIC)
		must(vhm_ioctl(j->vcpu.fd, VHM_VCPU_APIC_ACCESS, &access));
	else if (run->mmio.gpa != UNBACKED)
		give_up("MMIO at %#llx", (unsigned long long)run->mmio.gpa);
	else if (!write)
		access.value = next_read(j);
	else if (access.value != ++j->sent)
		give_up("write %u says %u", j->sent, access.value);
	if (!write)
		guest_registers(&j->vcpu)->rax = access.value;
	run->retire_bytes = 2;
}

/* ---------------------------------------------------------------------------- driver -- */

/* Something that brings the vCPU back, soon or at once. */
static void choose_stop(struct journey *j)
{
	const unsigned int cpus = cpus_online();
	struct vhm_run *run = j->vcpu.run;
	struct itimerval timer = { .it_value.tv_usec = 1 + (long)below(j, 5000) };

	run->deadline_tsc = 0;
	set_control(j, false, 0);
	if (!below(j, 8))
		pin(0, (unsigned int)below(j, cpus));
	switch (below(j, j->step ? 32 : 16)) {
	case 0:
		must(vcpu_kick(&j->vcpu));
		break;
	case 1:
		setitimer(ITIMER_REAL, &timer, NULL);
		break;
	case 2:
		run->request |= VHM_RUN_IRQ_WINDOW;
		break;
	case 3 ... 6:
		break;			/* the guest's own next exit */
	case 7 ... 9:
		set_control(j, false, GUEST_EXCEPTIONS & (uint32_t)below(j, 1ull << 32));
		break;
	case 10 ... 15:
		run->deadline_tsc = __rdtsc() + below(j, 1 << (8 + below(j, 14)));
		break;
	default:
		set_control(j, true, 0);
		j->steps = (unsigned int)below(j, 2000);
		break;
	}
}

static void do_access(struct journey *j)
{
	if (j->vcpu.run->exit_reason == VHM_EXIT_IO)
		do_io(j);
	else
		do_mmio(j);
}

/*
 * An exit of the guest's own: moved before the VMM does anything, when the new vCPU makes it
 * again; or when all is done and in the run page; or when the kernel knows; or not.
 */
static void serve_access(struct journey *j)
{
	uint64_t how = below(j, j->vcpu.run->io.flags & VHM_IO_STRING ? 40 : 8);

	if (how == 0) {
		move(j);
		return;
	}
	do_access(j);
	if (how == 1)
		settle(j);
	if (how <= 2)
		move(j);
}

/*
 * Where a step in between is rarely met otherwise, each is moved. Loops are left to be run: they
 * repeat themselves, or wait for what single steps hold back.
 */
static void step_on(struct journey *j)
{
	uint64_t rip = j->vcpu.run->regs.rip, past = rip - LONG_CODE, handler = rip - LONG_HANDLER;
	bool rare = (past >= (size_t)(round_trip_rare - round_trip_guest) &&
		     past < (size_t)(round_trip_rare_end - round_trip_guest)) ||
		    (handler >= (size_t)(round_trip_nmi - round_trip_handler) &&
		     handler < (size_t)(round_trip_nmi_end - round_trip_handler));
	bool loop = rip == j->stepped[0] || rip == j->stepped[1];

	j->steps--;
	j->stepped[1] = j->stepped[0];
	j->stepped[0] = rip;
	if (loop)
		j->steps = 0;
	if (loop ? !below(j, 4) : !below(j, rare ? 2 : 32))
		move(j);
}

static void serve(struct journey *j)
{
	struct vhm_run *run = j->vcpu.run;

	switch (run->exit_reason) {
	case VHM_EXIT_IO:
	case VHM_EXIT_MMIO:
		serve_access(j);
		return;
	case VHM_EXIT_EOI:
		if (run->eoi.vector != RT_LEVEL_VECTOR)
			give_up("end of vector %#x", run->eoi.vector);
		j->level_ends++;
		break;
	case VHM_EXIT_EXCEPTION:
		if (j->steps) {
			step_on(j);
			return;
		}
		if (j->stepping)
			break;
		run->inject = run->exception;	/* the guest gets it after all */
		if (below(j, 2))
			settle(j);
		break;
	case VHM_EXIT_KICKED:
	case VHM_EXIT_INTERRUPTED:
	case VHM_EXIT_IRQ_WINDOW:
	case VHM_EXIT_DEADLINE:
		break;
	default:
		give_up("exit '%s', hardware %#x %#llx, RIP %#llx", exit_name(run->exit_reason),
			run->hardware_reason, (unsigned long long)run->hardware_qualification,
			(unsigned long long)run->regs.rip);
	}
	/* nothing has happened since, as a rule: the new vCPU had to fault its memory in */
	if (run->regs.rip == j->last_rip && run->regs.rcx == j->last_rcx && below(j, 4))
		return;
	move(j);
}

static void on_signal(int number)
{
	(void)number;
}

static void travel(struct journey *j, unsigned int moves)
{
	uint64_t end = now_ns() + PATIENCE_NS;
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGALRM, &action, NULL);
	while (j->moves < moves) {
		long value;

		if (!j->steps)
			choose_stop(j);
		value = vcpu_run(&j->vcpu);
		if (value && value != -EINTR)
			give_up("VHM_VCPU_RUN: error %ld", -value);
		j->by_reason[j->vcpu.run->exit_reason]++;
		serve(j);
		if (now_ns() > end)
			give_up("%u moves, %u turns, at %#llx", j->moves, j->turns,
				(unsigned long long)j->vcpu.run->regs.rip);
	}
}

/* ---------------------------------------------------------------------------- set-up -- */

static bool guest_has(const struct vhm_cpuid *cpuid, uint32_t leaf, uint32_t subleaf, unsigned int reg,
		      unsigned int bit)
{
	const struct vhm_cpuid_entry *e = (void *)(uintptr_t)cpuid->entries;
	uint32_t i;

	for (i = 0; i < cpuid->entry_count; i++)
		if (e[i].leaf == leaf && (e[i].subleaf == subleaf || !(e[i].flags & VHM_CPUID_SUBLEAF)))
			return (&e[i].eax)[reg] >> bit & 1;
	return false;
}

static void add_msr(struct journey *j, unsigned int *n, uint32_t index, uint64_t value)
{
	struct vhm_msr_value *msr = (struct vhm_msr_value *)(j->vm.memory + RT_MSRS) + (*n)++;

	*msr = (struct vhm_msr_value) { .index = index, .value = value };
}

static void fill_msrs(struct journey *j, const struct vhm_cpuid *cpuid)
{
	unsigned int n = 0;

	add_msr(j, &n, 0xc0000080, 0xd01);			/* EFER */
	add_msr(j, &n, 0xc0000081, 0x0023000800000000);		/* STAR */
	add_msr(j, &n, 0xc0000083, 0x7ffffff12345);		/* CSTAR */
	add_msr(j, &n, 0xc0000084, 0x300);			/* FMASK: IF, TF */
	add_msr(j, &n, 0xc0000100, 0x7eadbeef1234);		/* FS base */
	add_msr(j, &n, 0xc0000101, 0xffff8eadbeef5678);		/* GS base */
	add_msr(j, &n, 0xc0000102, 0x7eadbeef9abc);		/* kernel GS base */
	add_msr(j, &n, 0x174, 0x8);				/* SYSENTER */
	add_msr(j, &n, 0x175, 0xffff800000123456);
	add_msr(j, &n, 0x176, 0x7fff00654321);
	add_msr(j, &n, 0x277, 0x0107040600070406);		/* PAT */
	add_msr(j, &n, 0x200, 0x40000006);			/* an MTRR pair */
	add_msr(j, &n, 0x201, 0x7ff000800);
	add_msr(j, &n, 0x26f, 0x0606060606060605);
	add_msr(j, &n, 0x2ff, 0xc06);
	add_msr(j, &n, 0x17a, 0x4);				/* MCG_STATUS */
	add_msr(j, &n, 0x1d9, 0);				/* DEBUGCTL */
	if (*word(j, RT_HAS_RDTSCP))
		add_msr(j, &n, 0xc0000103, *quad(j, RT_GENERAL + 8 * 4) & 0xffffffff);
	if (guest_has(cpuid, 7, 0, 1, 1))
		add_msr(j, &n, 0x3b, 0x123456);			/* TSC_ADJUST */
	if (guest_has(cpuid, 7, 0, 3, 26))
		add_msr(j, &n, 0x48, 1);			/* SPEC_CTRL: IBRS */
	if (guest_has(cpuid, 0xd, 1, 0, 3))
		add_msr(j, &n, 0xda0, 0);			/* XSS */
}

static void fill_memory(struct journey *j, bool x2apic, uint32_t tsc_khz)
{
	struct vhm_cpuid_entry entries[256];
	struct vhm_cpuid cpuid = {
		.size = sizeof(cpuid), .entry_count = COUNT(entries), .entries = (uintptr_t)entries,
	};
	struct vhm_info info = device_info();
	uint64_t seed = j->random;
	unsigned int i;

	must(vhm_ioctl(j->vm.device, VHM_GET_CPUID, &cpuid));
	memset(j->vm.memory + RT_COUNT, 0, 0x10000);
	for (i = 0; i < 8; i++)
		quad(j, RT_GENERAL)[i] = random_next(&seed);
	for (i = 0; i < 32 * 8; i++)
		quad(j, RT_VECTORS)[i] = random_next(&seed);
	for (i = 0; i < 8; i++)
		quad(j, RT_OPMASKS)[i] = random_next(&seed) & 0xffff;
	for (i = 0; i < RT_STRING_OUTS; i++)
		j->vm.memory[RT_STRING_OUT + i] = (uint8_t)(0xa0 + i);
	*word(j, RT_X2APIC) = x2apic;
	*quad(j, RT_XCR0) = info.xcr0;
	*word(j, RT_PKRU) = guest_has(&cpuid, 7, 0, 2, 3) ? 0xfff00ff0 : 0;
	*word(j, RT_HAS_RDTSCP) = guest_has(&cpuid, 0x80000001, 0, 3, 27);
	*word(j, RT_HAS_DEADLINE) = guest_has(&cpuid, 1, 0, 2, 24);
	*word(j, RT_STEPPED) = j->step;
	*quad(j, RT_ONE_SHOT_TSC) = (uint64_t)RT_TIMER_COUNT * tsc_khz / (info.apic_timer_hz / 1000);
	*quad(j, RT_PERIOD_TSC) = (uint64_t)RT_PERIOD_COUNT * tsc_khz / (info.apic_timer_hz / 1000);
	fill_msrs(j, &cpuid);
}

static void depart(struct journey *j, bool x2apic, bool step, uint32_t tsc_khz)
{
	const struct vhm_time time = { .tsc = 1000000, .tsc_khz = tsc_khz };
	const char *seed = getenv("VHM_SEED");

	*j = (struct journey) { .random = seed ? strtoull(seed, NULL, 0) : now_ns() | 1, .step = step };
	printf("# VHM_SEED=%#llx, XCR0 %#llx\n", (unsigned long long)j->random,
	       (unsigned long long)device_info().xcr0);
	vm_create(&j->vm, 0);
	vcpu_create(&j->vcpu, &j->vm, 0);
	vcpu_set_cpuid(&j->vcpu);
	guest_long_tables(&j->vm);
	memcpy(j->vm.memory + LONG_HANDLER, round_trip_handler,
	       (size_t)(round_trip_handler_end - round_trip_handler));
	memcpy(j->vm.memory + LONG_CODE, round_trip_guest,
	       (size_t)(round_trip_guest_end - round_trip_guest));
	must(vcpu_set(&j->vcpu, VHM_SECTION_TIME, &time));
	fill_memory(j, x2apic, tsc_khz);
	guest_long_enter(&j->vcpu, LONG_CODE);
}

/* False, with a line, if a kind of state in the list was never moved. */
static bool has_seen(const struct journey *j, const enum seen *wanted, unsigned int count)
{
	bool all = true;
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!j->seen[wanted[i]]) {
			printf("# never moved: %s\n", seen_names[wanted[i]]);
			all = false;
		}
	return all;
}

static void arrive(struct journey *j)
{
	unsigned int i;

	printf("# %u moves in %u turns;", j->moves, j->turns);
	for (i = 0; i < COUNT(j->by_reason); i++)
		if (j->by_reason[i])
			printf(" %s %u", exit_name(i), j->by_reason[i]);
	printf("\n# states moved:");
	for (i = 0; i < SEEN_COUNT; i++)
		printf(" %s %u%s", seen_names[i], j->seen[i], i + 1 < SEEN_COUNT ? "," : "\n");
	vcpu_destroy(&j->vcpu);
	vm_destroy(&j->vm);
}

FIXTURE(round_trip) {
};

FIXTURE_SETUP(round_trip)
{
}

FIXTURE_TEARDOWN(round_trip)
{
}

TEST_F_TIMEOUT(round_trip, moved_between_any_two_exits, SECONDS_MAX)
{
	const enum seen wanted[] = {
		SEEN_HALTED, SEEN_NMI_BLOCKED, SEEN_NMI_PENDING, SEEN_EXCEPTION, SEEN_IRR, SEEN_STRING,
	};
	static struct journey j;

	depart(&j, true, false, device_info().tsc_khz);
	travel(&j, MOVES);
	arrive(&j);
	EXPECT_EQ(MOVES, j.moves);
	EXPECT_LT(5, j.turns);
	EXPECT_TRUE(has_seen(&j, wanted, COUNT(wanted)));
}

TEST_F_TIMEOUT(round_trip, moved_in_xapic_mode, SECONDS_MAX)
{
	static struct journey j;

	depart(&j, false, false, device_info().tsc_khz);
	travel(&j, MOVES / 2);
	arrive(&j);
	EXPECT_LT(2, j.turns);
}

TEST_F_TIMEOUT(round_trip, moved_between_single_steps, SECONDS_MAX)
{
	const enum seen wanted[] = {
		SEEN_SHADOW, SEEN_NMI_BLOCKED, SEEN_PENDING_DEBUG, SEEN_USER, SEEN_IRR, SEEN_ISR,
	};
	static struct journey j;

	depart(&j, true, true, device_info().tsc_khz);
	travel(&j, MOVES);
	arrive(&j);
	EXPECT_LT(1, j.turns);
	EXPECT_TRUE(has_seen(&j, wanted, COUNT(wanted)));
}

TEST_F_TIMEOUT(round_trip, moved_with_scaled_tsc, SECONDS_MAX)
{
	const struct vhm_info info = device_info();
	static struct journey j;

	if (!(info.features & VHM_FEATURE_TSC_SCALING))
		SKIP(return, "no TSC scaling");
	depart(&j, true, false, info.tsc_khz / 2 * 3);
	travel(&j, MOVES / 4);
	arrive(&j);
	EXPECT_LT(2, j.turns);
}

TEST_HARNESS_MAIN
