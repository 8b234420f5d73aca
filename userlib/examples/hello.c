// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A guest in real mode prints through port 0xe9 and halts: the smallest VMM with libvhm. */
#include <libvhm.h>
#include <stdio.h>

static const uint8_t program[] =
	"\xbe\x0f\x7c"		/* 7c00: mov si, 0x7c0f */
	"\xac"			/* 7c03: lodsb */
	"\x84\xc0"		/* 7c04: test al, al */
	"\x74\x04"		/* 7c06: jz 0x7c0c */
	"\xe6\xe9"		/* 7c08: out 0xe9, al */
	"\xeb\xf7"		/* 7c0a: jmp 0x7c03 */
	"\xf4\xeb\xfd"		/* 7c0c: hlt; jmp 0x7c0c */
	"Hello from VHM\n";

static int print(void *context, uint16_t port, unsigned int bytes, uint32_t data)
{
	(void)context, (void)bytes;
	return port == 0xe9 && putchar((int)data) == EOF ? -5 : 0;
}

#define TRY(step, call)	do { what = (step); error = (call); if (error) goto out; } while (0)

int main(void)
{
	const struct vhm_callbacks callbacks = { .io_write = print };
	const struct vhm_entry entry = { .mode = VHM_ENTRY_REAL, .rip = 0x7c00, .rsp = 0x7000 };
	struct vhm *vhm = NULL;
	struct vhm_vm *vm = NULL;
	struct vhm_vcpu *vcpu = NULL;
	enum vhm_step what;
	int error;

	TRY(VHM_STEP_OPEN, vhm_open(&vhm, NULL));
	TRY(VHM_STEP_VM, vhm_vm_create(vhm, VHM_VM_EXIT_HLT, &vm));
	TRY(VHM_STEP_MEMORY, vhm_vm_add_memory(vm, 0, 1 << 20, 0, NULL));
	TRY(VHM_STEP_LOAD, vhm_vm_write(vm, 0x7c00, program, sizeof(program)));
	TRY(VHM_STEP_VCPU, vhm_vcpu_create(vm, 0, &vcpu));
	TRY(VHM_STEP_VCPU, vhm_vcpu_set_entry(vcpu, &entry));
	do {
		TRY(VHM_STEP_RUN, vhm_vcpu_run(vcpu));
		error = vhm_vcpu_dispatch(vcpu, &callbacks, NULL);
	} while (!error);
	if (error == VHM_DISPATCH_UNHANDLED)	/* the one exit a callback has not completed */
		error = vhm_vcpu_run_page(vcpu)->exit_reason == VHM_EXIT_HLT ? 0 : -5;
out:
	if (error)
		fprintf(stderr, "hello: %s\n", vhm_explain(what, error));
	vhm_vcpu_destroy(vcpu);
	vhm_vm_destroy(vm);
	vhm_close(vhm);
	return error ? 1 : 0;
}
