// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time by the paravirtual interface. The clock is the same on all vCPUs, goes with the TSC and with
 * saved state, and never back; its page is written as a whole, and only as long as a slot has it.
 * Steal time counts while others run on the vCPU's CPU; the guest sees that the vCPU is preempted,
 * and may ask for a flush meanwhile.
 */
#include <kselftest_harness.h>

#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <linux/kvm_para.h>

#include "pv.h"

/* pvclock_vcpu_time_info and pvclock_wall_clock of the kernel's document */
struct clock_page {
	uint32_t version, pad;
	uint64_t tsc, ns;
	uint32_t mult;
	int8_t shift;
	uint8_t flags, pad2[2];
} __attribute__((packed));

struct wall_clock {
	uint32_t version, seconds, ns;
};

#define STABLE	1

FIXTURE(paravirt) {
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
};

FIXTURE_SETUP(paravirt)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
	guest_long_tables(&self->vm);
	self->run = self->vcpu.run;
}

FIXTURE_TEARDOWN(paravirt)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

/* ------------------------------------------------------------------- clock -- */

static const struct clock_page *clock_page(struct vm *vm, uint64_t gpa)
{
	return (const struct clock_page *)(vm->memory + gpa);
}

/* As the document says. */
static uint64_t clock_ns(const struct clock_page *page, uint64_t tsc)
{
	uint64_t time = tsc - page->tsc;

	time = page->shift >= 0 ? time << page->shift : time >> -page->shift;
	return (uint64_t)((unsigned __int128)time * page->mult >> 32) + page->ns;
}

static uint64_t guest_tsc(struct vcpu *vcpu)
{
	struct vhm_time time;

	vcpu_get(vcpu, VHM_SECTION_TIME, &time);
	return time.tsc;
}

TEST_F(paravirt, clock)
{
	const struct clock_page *page = clock_page(&self->vm, CLOCK_GPA);
	uint64_t host[2], guest[2], khz;
	struct clock_page first;

	ASSERT_EQ(0, guest_wrmsr(&self->vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_GPA | 1));
	first = *page;
	EXPECT_NE(0, first.version);
	EXPECT_EQ(0, first.version & 1);
	EXPECT_EQ(STABLE, first.flags);
	/* the frequency, as Linux takes it from here */
	khz = (1000000ull << 32) / first.mult;
	khz = first.shift < 0 ? khz << -first.shift : khz >> first.shift;
	EXPECT_EQ(device_info().tsc_khz, khz);

	host[0] = now_ns();
	guest[0] = clock_ns(page, guest_tsc(&self->vcpu));
	sleep_us(50000);
	guest[1] = clock_ns(page, guest_tsc(&self->vcpu));
	host[1] = now_ns();
	EXPECT_GE(guest[1] - guest[0], 50000000);
	EXPECT_LE(guest[1] - guest[0], (host[1] - host[0]) / 1000 * 1001);

	/* it is not written again without a reason, and stays off once it is */
	guest_nothing(&self->vcpu);
	EXPECT_EQ(0, memcmp(&first, page, sizeof(first)));
	ASSERT_EQ(0, guest_wrmsr(&self->vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_GPA | 1));
	EXPECT_EQ(first.version + 2, page->version);
	ASSERT_EQ(0, guest_wrmsr(&self->vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_GPA));
	EXPECT_EQ(first.version + 2, page->version);
}

TEST_F(paravirt, wall_clock)
{
	const struct wall_clock *wall = (void *)(self->vm.memory + LONG_DATA);
	struct vhm_paravirt paravirt = get_paravirt(&self->vcpu);
	struct timespec now;
	uint64_t guest;
	int64_t difference;

	ASSERT_EQ(0, guest_wrmsr(&self->vcpu, MSR_KVM_WALL_CLOCK_NEW, LONG_DATA));
	clock_gettime(CLOCK_REALTIME, &now);
	EXPECT_EQ(0, wall->version & 1);
	EXPECT_NE(0, wall->version);
	EXPECT_LT(wall->ns, 1000000000);
	guest = wall->seconds * 1000000000ull + wall->ns + paravirt.clock_ns +
		(uint64_t)((unsigned __int128)(guest_tsc(&self->vcpu) - paravirt.clock_tsc) *
			   1000000 / paravirt.clock_khz);
	difference = (int64_t)(guest - (uint64_t)now.tv_sec * 1000000000u - (uint64_t)now.tv_nsec);
	EXPECT_LT(difference, 100000000);
	EXPECT_GT(difference, -100000000);
}

TEST_F(paravirt, clock_is_the_same_on_all_vcpus)
{
	struct clock_page pages[3];
	struct vhm_time time;
	struct vcpu vcpu;

	for (uint32_t id = 0; id < COUNT(pages); id++) {
		if (id) {
			vcpu_create(&vcpu, &self->vm, id);
			vcpu_set_cpuid(&vcpu);
		}
		ASSERT_EQ(0, guest_wrmsr(id ? &vcpu : &self->vcpu, MSR_KVM_SYSTEM_TIME_NEW,
					 (CLOCK_GPA + id * 0x100) | 1));
		pages[id] = *clock_page(&self->vm, CLOCK_GPA + id * 0x100);
		if (id)
			vcpu_destroy(&vcpu);
		EXPECT_EQ(0, memcmp(&pages[id].pad, &pages[0].pad, sizeof(pages[0]) - 4));
		/* the third one comes when the first one's clock is another */
		if (id == 1) {
			struct vhm_paravirt paravirt = get_paravirt(&self->vcpu);

			paravirt.clock_ns += 1ull << 40;
			ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_PARAVIRT, &paravirt));
			pages[0].ns += 1ull << 40;
		}
	}
	/* that of the first one has been written, too */
	guest_nothing(&self->vcpu);
	EXPECT_EQ(pages[0].ns, clock_page(&self->vm, CLOCK_GPA)->ns);
	/* the VMM moves the TSC: the clock goes with it, and the page is right as it is */
	vcpu_get(&self->vcpu, VHM_SECTION_TIME, &time);
	time.tsc += 1ull << 40;
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_TIME, &time));
	guest_nothing(&self->vcpu);
	EXPECT_EQ(pages[0].ns, clock_page(&self->vm, CLOCK_GPA)->ns);
	EXPECT_EQ(pages[0].tsc, clock_page(&self->vm, CLOCK_GPA)->tsc);
}

/* The guest sets its TSC, forth and back, by either register: its clock goes on. */
TEST_F(paravirt, clock_survives_writes_to_the_tsc)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} writes[] = {
		{ 0x10, 5 }, { 0x10, 1ull << 50 }, { 0x3b, 1ull << 40 }, { 0x3b, 0 },
	};
	const struct clock_page *page = clock_page(&self->vm, CLOCK_GPA);
	uint64_t before, after;

	ASSERT_EQ(0, guest_wrmsr(&self->vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_GPA | 1));
	for (size_t i = 0; i < COUNT(writes); i++) {
		before = clock_ns(page, guest_tsc(&self->vcpu));
		ASSERT_EQ(0, guest_wrmsr(&self->vcpu, writes[i].index, writes[i].value));
		after = clock_ns(page, guest_tsc(&self->vcpu));
		EXPECT_GT(after, before) TH_LOG("write %zu", i);
		EXPECT_LT(after, before + 1000000000) TH_LOG("write %zu", i);
	}
}

/* Reads its clock over and over; ends when it has gone back. The page is at RBX. */
GUEST_CODE(clock_forward, 64,
	"xor	%esi, %esi\n"
	"1: mov	$1000, %edi\n"
	"2: mov	(%rbx), %r8d\n"
	"test	$1, %r8d\n"
	"jnz	2b\n"
	"lfence\n"
	"rdtsc\n"
	"shl	$32, %rdx\n"
	"or	%rdx, %rax\n"
	"sub	8(%rbx), %rax\n"
	"mov	28(%rbx), %cl\n"		/* shift, in either direction */
	"test	%cl, %cl\n"
	"js	3f\n"
	"shl	%cl, %rax\n"
	"jmp	4f\n"
	"3: neg	%cl\n"
	"shr	%cl, %rax\n"
	"4: mov	24(%rbx), %edx\n"
	"mul	%rdx\n"
	"shrd	$32, %rdx, %rax\n"
	"add	16(%rbx), %rax\n"
	"cmp	%r8d, (%rbx)\n"
	"jne	2b\n"
	"cmp	%rsi, %rax\n"
	"jb	5f\n"
	"mov	%rax, %rsi\n"
	"dec	%edi\n"
	"jnz	2b\n"
	"out	%al, $0x10\n"
	"jmp	1b\n"
	"5: out	%al, $0x11\n");

/* Whatever is done with the state, a guest that looks at its clock sees it go forth. */
TEST_F(paravirt, clock_goes_with_saved_state)
{
	static uint8_t buffer[32768] __attribute__((aligned(8)));
	struct vhm_state state = { .size = sizeof(state), .buffer = (uintptr_t)buffer };
	struct clock_page page;
	struct vm vm;
	struct vcpu vcpu;

	ASSERT_EQ(0, guest_wrmsr(&self->vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_GPA | 1));
	memcpy(self->vm.memory + LONG_CODE, clock_forward, CODE_BYTES(clock_forward));
	guest_long_enter(&self->vcpu, LONG_CODE);
	self->run->request = VHM_RUN_RETURN;
	must(vcpu_run(&self->vcpu));
	guest_registers(&self->vcpu)->rbx = CLOCK_GPA;
	guest_out(&self->vcpu, PORT_DONE);
	for (int i = 0; i < 20; i++) {
		guest_out(&self->vcpu, PORT_DONE);
		self->run->request = VHM_RUN_RETURN;
		must(vcpu_run(&self->vcpu));
		state.sections = 0;
		state.buffer_bytes = sizeof(buffer);
		ASSERT_EQ(0, vhm_ioctl(self->vcpu.fd, VHM_VCPU_GET_STATE, &state));
		page = *clock_page(&self->vm, CLOCK_GPA);
		for (struct vhm_section *s = (void *)buffer; (uint8_t *)s < buffer + state.buffer_bytes;
		     s = (void *)((uint8_t *)(s + 1) + (s->bytes + 7) / 8 * 8))
			if (s->type == VHM_SECTION_TIME)	/* it stands still meanwhile */
				((struct vhm_time *)(s + 1))->host_tsc *= i % 2;
		vm_create(&vm, 0);
		memcpy(vm.memory, self->vm.memory, self->vm.memory_bytes);
		vcpu_create(&vcpu, &vm, 0);
		ASSERT_EQ(0, vhm_ioctl(vcpu.fd, VHM_VCPU_SET_STATE, &state));
		vcpu_destroy(&self->vcpu);
		vm_destroy(&self->vm);
		self->vm = vm;
		self->vcpu = vcpu;
		self->vcpu.vm = &self->vm;
		self->run = vcpu.run;
		guest_out(&self->vcpu, PORT_DONE);
		/* to the bit */
		EXPECT_EQ(0, memcmp(&page.pad, &clock_page(&self->vm, CLOCK_GPA)->pad,
				    sizeof(page) - 4));
	}
}

/* State of a host with another frequency: the clock goes on from where it was. */
TEST_F(paravirt, clock_of_another_frequency)
{
	struct vhm_paravirt paravirt = get_paravirt(&self->vcpu);
	uint64_t tsc = guest_tsc(&self->vcpu), before, after;

	paravirt.clock_khz *= 2;
	paravirt.system_time = CLOCK_GPA | 1;
	paravirt.clock_tsc = tsc - 2 * 1000ull * paravirt.clock_khz;	/* 2 s ago */
	paravirt.clock_ns = 1ull << 50;
	before = paravirt.clock_ns + 2000000000;
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_PARAVIRT, &paravirt));
	guest_nothing(&self->vcpu);
	after = clock_ns(clock_page(&self->vm, CLOCK_GPA), guest_tsc(&self->vcpu));
	EXPECT_GT(after, before);
	EXPECT_LT(after, before + 1000000000);
	EXPECT_EQ(paravirt.clock_khz / 2, get_paravirt(&self->vcpu).clock_khz);
}

/* -------------------------------------------------------- the clock's page -- */

/* Across pages within one slot it is written as a whole; memory that is not there yet comes. */
TEST_F(paravirt, clock_across_pages)
{
	uint8_t *window = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct clock_page *page = (void *)(window + PAGE_BYTES - 12);

	ASSERT_NE(MAP_FAILED, window);
	ASSERT_EQ(0, vm_add_slot(&self->vm, 1, 0, WINDOW, 2 * PAGE_BYTES, window));
	ASSERT_EQ(0, guest_wrmsr(&self->vcpu, MSR_KVM_SYSTEM_TIME_NEW,
				 (WINDOW + PAGE_BYTES - 12) | 1));
	EXPECT_EQ(2, page->version);
	EXPECT_NE(0, page->mult);
	EXPECT_EQ(STABLE, page->flags);
	munmap(window, 2 * PAGE_BYTES);
}

struct remover {
	struct vm *vm;
	uint8_t *window;
	volatile bool stop;
	long rounds;
};

/* Once a slot is removed its memory is the VMM's alone. */
static void *remove_and_look(void *context)
{
	struct remover *remover = context;

	while (!remover->stop) {
		must(vm_remove_slot(remover->vm, 1));
		memset(remover->window, 0, PAGE_BYTES);
		for (int i = 0; i < 2000; i++)
			for (uint32_t n = 0; n < 64; n += 8)
				if (*(volatile uint64_t *)(remover->window + n))
					return "written after the slot was removed";
		must(vm_add_slot(remover->vm, 1, 0, WINDOW, PAGE_BYTES, remover->window));
		remover->rounds++;
	}
	return NULL;
}

TEST_F(paravirt, removed_slot_is_left_alone)
{
	struct remover remover = {
		.vm = &self->vm,
		.window = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	};
	uint64_t end = now_ns() + 1000000000;
	void *thread;

	ASSERT_NE(MAP_FAILED, remover.window);
	ASSERT_EQ(0, vm_add_slot(&self->vm, 1, 0, WINDOW, PAGE_BYTES, remover.window));
	thread = thread_start(remove_and_look, &remover);
	while (now_ns() < end) {
		ASSERT_EQ(0, guest_wrmsr(&self->vcpu, MSR_KVM_SYSTEM_TIME_NEW, WINDOW | 1));
	}
	remover.stop = true;
	EXPECT_EQ(NULL, thread_join(thread));
	EXPECT_GT(remover.rounds, 10);
	munmap(remover.window, PAGE_BYTES);
}

/* ------------------------------------------------------------- steal time -- */

GUEST_CODE(spins, 64, "1: lock incq 0x2408\n" "jmp 1b\n");

struct hog {
	volatile bool stop;
};

static void *hog(void *context)
{
	struct hog *self = context;

	pin(0, 0);
	while (!self->stop)
		;
	return NULL;
}

static void *run_on_first_cpu(void *context)
{
	pin(0, 0);
	return (void *)(long)vcpu_exit(context);
}

/* The vCPU and another thread share a CPU. */
TEST_F(paravirt, steal_time)
{
	volatile struct kvm_steal_time *steal = (void *)(self->vm.memory + STEAL_GPA);
	struct guest_mail *mail = guest_mail(&self->vm);
	struct hog competitor = { 0 };
	void *hog_thread, *thread;
	uint64_t end, flushes, flushed = 0, preempted = 0, runs;

	steal->preempted = KVM_VCPU_PREEMPTED;	/* what saved state might say */
	ASSERT_EQ(0, guest_wrmsr(&self->vcpu, MSR_KVM_STEAL_TIME, STEAL_GPA | 1));
	EXPECT_EQ(0, steal->preempted);
	if (cpus_online() < 2)
		SKIP(return, "needs a second CPU to look on");
	pin(0, 1);
	flushes = vcpu_stat(&self->vcpu, VHM_STAT_TLB_FLUSHES);
	guest_run_long(&self->vcpu, spins);
	hog_thread = thread_start(hog, &competitor);
	thread = thread_start(run_on_first_cpu, &self->vcpu);
	end = now_ns() + 3000000000;
	while (now_ns() < end) {
		uint8_t expected = KVM_VCPU_PREEMPTED;

		if (steal->preempted != KVM_VCPU_PREEMPTED)
			continue;
		/* as another vCPU would ask for a flush */
		preempted++;
		if (!__atomic_compare_exchange_n(&steal->preempted, &expected,
						 KVM_VCPU_PREEMPTED | KVM_VCPU_FLUSH_TLB, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		runs = mail->flag[0];
		for (uint64_t patience = now_ns() + 5000000000;
		     mail->flag[0] == runs && now_ns() < patience;)
			;
		/* it runs: not before the request was taken in */
		if (steal->preempted & KVM_VCPU_FLUSH_TLB)
			TH_LOG("the flush was not taken in");
		else
			flushed++;
	}
	vcpu_kick(&self->vcpu);
	EXPECT_EQ(VHM_EXIT_KICKED, (long)thread_join(thread));
	competitor.stop = true;
	thread_join(hog_thread);
	EXPECT_GT(preempted, 5);
	EXPECT_GT(flushed, 0);
	EXPECT_GE(flushed + 1, preempted);
	/* without tags every entry flushes, and none is counted */
	if (device_info().features & VHM_FEATURE_VPID) {
		EXPECT_GE(vcpu_stat(&self->vcpu, VHM_STAT_TLB_FLUSHES), flushes + flushed);
	}
	/* half of the time, more or less */
	EXPECT_GT(steal->steal, 500000000);
	EXPECT_LT(steal->steal, 3500000000);
	EXPECT_EQ(0, steal->version & 1);
	EXPECT_EQ(0, steal->flags);
	EXPECT_TRUE(all_zero((const uint8_t *)steal->pad, sizeof(steal->pad)));
}

TEST_HARNESS_MAIN
