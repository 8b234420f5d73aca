// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder comes into the process when the first instruction is to be decoded: from several
 * threads at once, not at all, and ahead of time.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "fake.h"
#include "test.h"
#include "zydis_soname.h"

#define DEVICE_GPA	0x80000000ull
#define CODE		0x1000u
#define THREADS		8
#define ROUNDS		50

/* mov [ebx], eax */
static const uint8_t code[] = { 0x89, 0x03 };

static int mmio_write(void *context, uint64_t gpa, unsigned int bytes, const void *data)
{
	uint32_t *written = context;

	if (gpa == DEVICE_GPA && bytes == sizeof(*written))
		memcpy(written, data, bytes);
	return 0;
}

static const struct vhm_callbacks callbacks = { .mmio_write = mmio_write };

/* The exit of a guest in flat 32-bit code: nothing of it has to be asked of the kernel. */
static int write_to_device(struct vhm_vcpu *vcpu, uint32_t *written)
{
	struct vhm_run *run = vhm_vcpu_run_page(vcpu);

	memset(run, 0, sizeof(*run));
	run->exit_reason = VHM_EXIT_MMIO;
	run->regs = (struct vhm_registers){
		.rax = 0x11223344, .rbx = DEVICE_GPA, .rip = CODE, .rflags = 2,
	};
	run->mmio = (struct vhm_exit_mmio){
		.gpa = DEVICE_GPA, .linear_address = DEVICE_GPA,
		.flags = VHM_MMIO_WRITE | VHM_MMIO_LINEAR_VALID,
		.cs_access_rights = 0xc09b, .cr0 = 0x11,
	};
	return vhm_vcpu_dispatch(vcpu, &callbacks, written);
}

static void begin(struct test_vm *vm)
{
	test_vm_create(vm);
	vhm_vm_add_memory(vm->vm, 0, 0x10000, 0, NULL);
	vhm_vm_write(vm->vm, CODE, code, sizeof(code));
}

/* ------------------------------------------------------------- all at once -- */

struct worker {
	struct vhm_vcpu *vcpu;
	pthread_barrier_t *start;
	pthread_t thread;
	uint32_t written;
	int result;
};

static void *work(void *context)
{
	struct worker *worker = context;

	pthread_barrier_wait(worker->start);
	worker->result = write_to_device(worker->vcpu, &worker->written);
	return NULL;
}

static void run_workers(struct test_vm *vm, struct worker *workers, pthread_barrier_t *start)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .start = start };
		REQUIRE(!vhm_vcpu_create(vm->vm, 1 + i, &workers[i].vcpu));
		REQUIRE(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		CHECK_EQ(workers[i].result, 0);
		CHECK_EQ(workers[i].written, 0x11223344);
		vhm_vcpu_destroy(workers[i].vcpu);
	}
}

static bool is_loaded(void)
{
#ifdef ZYDIS_SONAME
	void *library = dlopen(ZYDIS_SONAME, RTLD_NOW | RTLD_NOLOAD);

	if (!library)
		return false;
	dlclose(library);
#endif
	return true;
}

/* With its last user the library goes, so that each round is the first time. */
static void threads_at_once(void)
{
	struct worker workers[THREADS];
	pthread_barrier_t start;
	unsigned int round;
	struct test_vm vm;

	begin(&vm);
	pthread_barrier_init(&start, NULL, THREADS);
	for (round = 0; round < ROUNDS; round++) {
#ifdef ZYDIS_SONAME
		CHECK(!is_loaded());
#endif
		run_workers(&vm, workers, &start);
	}
	pthread_barrier_destroy(&start);
	test_vm_destroy(&vm);
}

/* -------------------------------------------------------------- not at all -- */

static void missing(void)
{
#ifdef ZYDIS_SONAME
	struct vhm_run *run;
	struct test_vm vm;
	uint32_t written = 0;

	begin(&vm);
	run = vhm_vcpu_run_page(vm.vcpu);
	fake.library_missing = true;
	errno = 77;
	CHECK_EQ(vhm_vcpu_load_decoder(vm.vcpu), -ELIBACC);
	CHECK_EQ(write_to_device(vm.vcpu, &written), -ELIBACC);
	CHECK_EQ(errno, 77);
	CHECK_EQ(written, 0);
	CHECK_EQ(run->regs.rip, CODE);
	CHECK_EQ(run->retire_bytes, 0);
	CHECK(!run->inject.flags);
	CHECK(strstr(vhm_explain(VHM_STEP_RUN, -ELIBACC), ZYDIS_SONAME));

	/* The guest has stayed at the instruction: once Zydis is there, it can go on. */
	fake.library_missing = false;
	CHECK_EQ(write_to_device(vm.vcpu, &written), 0);
	CHECK_EQ(written, 0x11223344);
	test_vm_destroy(&vm);
#endif
}

/* ------------------------------------------------------------ ahead of time -- */

static void ahead_of_time(void)
{
	uint32_t written = 0;
	struct test_vm vm;

	begin(&vm);
	errno = 77;
	CHECK_EQ(vhm_vcpu_load_decoder(vm.vcpu), 0);
	CHECK_EQ(vhm_vcpu_load_decoder(vm.vcpu), 0);
	CHECK_EQ(errno, 77);
	CHECK(is_loaded());
	fake.library_missing = true;
	CHECK_EQ(write_to_device(vm.vcpu, &written), 0);
	CHECK_EQ(written, 0x11223344);
	test_vm_destroy(&vm);
}

const struct test_case zydis_cases[] = {
	{ "zydis: threads that need it at once", threads_at_once },
	{ "zydis: it is missing", missing },
	{ "zydis: loaded ahead of time", ahead_of_time },
	{ 0 },
};
