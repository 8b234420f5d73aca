// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Completing an exit: ports, devices in memory, MSRs, ends of interrupt.
 *
 * The run page is written by the kernel alone while the vCPU runs, and by this thread
 * alone while it does not; so its "out" fields are stable here. Performing instructions
 * is insn.c's.
 */
#include "emulate.h"

#define CR4_PKE			(1ull << 22)
#define EFER_LMA		(1ull << 10)
#define RIGHTS_DPL_SHIFT	5
#define RIGHTS_LONG		(1u << 13)
#define RIGHTS_BIG		(1u << 14)

#define NUMBER_RCX		1
#define NUMBER_RSI		6
#define NUMBER_RDI		7

/* ------------------------------------------------------------- emulating -- */

/* Field by field: clearing all of it would take longer than most exits. */
static void init_emulator(struct emulator *emulator, struct vhm_vcpu *vcpu,
			  const struct vhm_callbacks *callbacks, void *context)
{
	emulator->vcpu = vcpu;
	emulator->callbacks = callbacks;
	emulator->context = context;
	emulator->mmio = NULL;
	emulator->exit_kind = MEMORY_NONE;
	emulator->exit_is_plain = false;
	emulator->redirects = false;
	emulator->regs = &vcpu->run->regs;
	emulator->portion = MAX_STRING_ELEMENTS;
	emulator->keeps_registers = false;
	emulator->paging.rflags = vcpu->run->regs.rflags;
	emulator->paging.pkru = 0;
	emulator->paging.reserved = 0;
	emulator->pkru_valid = false;
	emulator->sregs_valid = false;
	emulator->stop = 0;
}

static int inject(struct emulator *emulator)
{
	const struct vhm_event *fault = &emulator->fault;

	return vhm_vcpu_inject(emulator->vcpu, fault->vector, fault->error_code, fault->payload);
}

/* Has the registers loaded if they changed and says what the guest does next. */
static int finish(struct emulator *emulator, int result, unsigned int insn_bytes)
{
	struct vhm_run *run = emulator->vcpu->run;

	if (!emulator->keeps_registers)
		run->request |= VHM_RUN_SET_REGISTERS;
	run->retire_bytes = 0;
	if (result < 0)
		return result;
	if (result == EMULATE_FAULT)
		result = inject(emulator);
	else if (!result)
		run->retire_bytes = insn_bytes;
	return result < 0 ? result : emulator->stop;
}

static unsigned int code_bits_of(uint64_t efer, uint32_t cs_access_rights)
{
	if (efer & EFER_LMA && cs_access_rights & RIGHTS_LONG)
		return 64;
	return cs_access_rights & RIGHTS_BIG ? 32 : 16;
}

/* ----------------------------------------------------------------- ports -- */

static int port_in(const struct vhm_callbacks *callbacks, void *context,
		   const struct vhm_exit_io *io, uint32_t *value)
{
	*value = UINT32_MAX;
	return callbacks->io_read ? callbacks->io_read(context, io->port, io->bytes, value) : 0;
}

static int port_out(const struct vhm_callbacks *callbacks, void *context,
		    const struct vhm_exit_io *io, uint32_t value)
{
	value &= (uint32_t)mask_bytes(io->bytes);
	return callbacks->io_write ? callbacks->io_write(context, io->port, io->bytes, value) : 0;
}

/* IN and OUT, the commonest exits: no emulator, as there is nothing to be remembered. */
static int single_io(struct vhm_run *run, const struct vhm_callbacks *callbacks, void *context)
{
	const struct vhm_exit_io *io = &run->io;
	uint32_t value;
	int ret;

	if (io->flags & VHM_IO_IN) {
		ret = port_in(callbacks, context, io, &value);
		if (ret >= 0) {
			run->regs.rax = merge_register(run->regs.rax, value, io->bytes);
			run->request |= VHM_RUN_SET_REGISTERS;
		}
	} else {
		ret = port_out(callbacks, context, io, io->data);
	}
	run->retire_bytes = ret >= 0 ? run->insn_bytes : 0;
	return ret;
}

static unsigned int address_bytes(const struct vhm_exit_io *io)
{
	if (io->flags & VHM_IO_ADDRESS_16)
		return 2;
	return io->flags & VHM_IO_ADDRESS_32 ? 4 : 8;
}

static void advance(struct emulator *emulator, unsigned int number, int64_t by,
		    unsigned int bytes)
{
	__u64 *gpr = emulate_gpr(emulator, number);

	*gpr = merge_register(*gpr, *gpr + (uint64_t)by, bytes);
}

/* One element of INS or OUTS; INS always writes to ES. */
static int string_element(struct emulator *emulator, const struct vhm_exit_io *io)
{
	bool in = io->flags & VHM_IO_IN;
	unsigned int number = in ? NUMBER_RDI : NUMBER_RSI;
	unsigned int segment = in ? VHM_SEGMENT_ES : io->segment;
	uint64_t offset = *emulate_gpr(emulator, number) & mask_bytes(address_bytes(io));
	int64_t step = emulator->regs->rflags & RFLAGS_DF ? -(int64_t)io->bytes : io->bytes;
	uint32_t value = 0;
	uint64_t linear;
	int ret = emulate_linear(emulator, segment, offset, io->bytes, in, &linear);

	if (ret)
		return ret;
	if (in) {
		/* The port must not be read if its value then has nowhere to go. */
		ret = emulate_probe_write(emulator, linear, io->bytes);
		if (!ret)
			ret = emulate_callback(emulator, port_in(emulator->callbacks,
								 emulator->context, io, &value));
		if (!ret)
			ret = emulate_write(emulator, linear, &value, io->bytes);
	} else {
		ret = emulate_read(emulator, linear, &value, io->bytes, 0);
		if (!ret)
			ret = emulate_callback(emulator, port_out(emulator->callbacks,
								  emulator->context, io, value));
	}
	if (!ret)
		advance(emulator, number, step, address_bytes(io));
	return ret;
}

static int string_io(struct emulator *emulator, const struct vhm_exit_io *io)
{
	uint64_t mask = mask_bytes(address_bytes(io));
	unsigned int done;
	int ret;

	if (!(io->flags & VHM_IO_REP))
		return string_element(emulator, io);
	for (done = 0; *emulate_gpr(emulator, NUMBER_RCX) & mask; done++) {
		if (done == emulator->portion || emulator->stop)
			return EMULATE_AGAIN;
		ret = string_element(emulator, io);
		if (ret)
			return ret;
		advance(emulator, NUMBER_RCX, -1, address_bytes(io));
	}
	return 0;
}

/* Segments and control registers, which a port exit does not bring along. */
static int prepare_string(struct emulator *emulator)
{
	const struct vhm_sregisters *sregs = &emulator->sregs;
	int ret = emulate_need_sregs(emulator);

	if (ret)
		return ret;
	emulator->paging.cr0 = sregs->cr0;
	emulator->paging.cr3 = sregs->cr3;
	emulator->paging.cr4 = sregs->cr4;
	emulator->paging.efer = sregs->efer;
	emulator->code_bits = code_bits_of(sregs->efer,
					   sregs->segment[VHM_SEGMENT_CS].access_rights);
	emulator->cpl = sregs->segment[VHM_SEGMENT_SS].access_rights >> RIGHTS_DPL_SHIFT & 3;
	return 0;
}

static int dispatch_string(struct vhm_vcpu *vcpu, const struct vhm_callbacks *callbacks,
			   void *context)
{
	const struct vhm_exit_io io = vcpu->run->io;
	struct emulator emulator;
	int ret;

	init_emulator(&emulator, vcpu, callbacks, context);
	ret = prepare_string(&emulator);
	if (ret)
		return ret;
	return finish(&emulator, string_io(&emulator, &io), vcpu->run->insn_bytes);
}

static int dispatch_io(struct vhm_vcpu *vcpu, const struct vhm_callbacks *callbacks, void *context)
{
	struct vhm_run *run = vcpu->run;
	unsigned int bytes = run->io.bytes;

	if ((bytes != 1 && bytes != 2 && bytes != 4) || !run->insn_bytes)
		return -EPROTO;
	if (run->io.flags & VHM_IO_STRING)
		return dispatch_string(vcpu, callbacks, context);
	return single_io(run, callbacks, context);
}

/* --------------------------------------------------------------- memory -- */

/* The instruction behind the exit, whose access is one of data */
static int perform(struct emulator *emulator)
{
	const struct vhm_exit_mmio *mmio = &emulator->vcpu->run->mmio;
	unsigned int insn_bytes = 0;
	int ret;

	emulator->mmio = mmio;
	emulator->paging.cr0 = mmio->cr0;
	emulator->paging.cr3 = mmio->cr3;
	emulator->paging.cr4 = mmio->cr4;
	emulator->paging.efer = mmio->efer;
	emulator->code_bits = code_bits_of(mmio->efer, mmio->cs_access_rights);
	emulator->cpl = mmio->cpl & 3;
	ret = emulate_instruction(emulator, &insn_bytes);
	return finish(emulator, ret, insn_bytes);
}

static int dispatch_mmio(struct vhm_vcpu *vcpu, const struct vhm_callbacks *callbacks,
			 void *context)
{
	const struct vhm_exit_mmio *mmio = &vcpu->run->mmio;
	struct emulator emulator;

	/* Code or page tables where no memory is: no instruction could make it right. */
	if (mmio->flags & (VHM_MMIO_FETCH | VHM_MMIO_WALK))
		return emulate_is_memory(mmio, vhm_memory_kind(vcpu->vm, mmio->gpa)) ? 0 : -EFAULT;
	init_emulator(&emulator, vcpu, callbacks, context);
	return perform(&emulator);
}

EXPORT int vhm_vcpu_redirect(struct vhm_vcpu *vcpu, const struct vhm_callbacks *callbacks,
			     void *context)
{
	const struct vhm_run *run = vcpu->run;
	struct emulator emulator;

	if (run->exit_reason != VHM_EXIT_DENIED)
		return -EINVAL;
	if (run->mmio.flags & (VHM_MMIO_FETCH | VHM_MMIO_WALK))
		return -EOPNOTSUPP;
	init_emulator(&emulator, vcpu, callbacks, context);
	emulator.redirects = true;
	/* The next one may be in a page with other rights: the guest shall meet them. */
	emulator.portion = 1;
	return perform(&emulator);
}

/* ----------------------------------------------------------------- MSRs -- */

static int dispatch_msr(struct vhm_vcpu *vcpu, const struct vhm_callbacks *callbacks,
			void *context)
{
	struct vhm_run *run = vcpu->run;
	const struct vhm_exit_msr msr = run->msr;
	uint64_t value = 0;
	int ret = -ENOENT;

	if (!run->insn_bytes)
		return -EPROTO;
	if (msr.flags & VHM_MSR_WRITE) {
		if (callbacks->msr_write)
			ret = callbacks->msr_write(context, msr.index, msr.value);
	} else if (callbacks->msr_read) {
		ret = callbacks->msr_read(context, msr.index, &value);
	}
	if (ret == -ENOENT)
		return vhm_vcpu_inject(vcpu, VECTOR_GP, 0, 0);
	if (ret >= 0 && !(msr.flags & VHM_MSR_WRITE)) {
		run->regs.rax = (uint32_t)value;
		run->regs.rdx = value >> 32;
		run->request |= VHM_RUN_SET_REGISTERS;
	}
	run->retire_bytes = ret >= 0 ? run->insn_bytes : 0;
	return ret;
}

/* ----------------------------------------------------------------- exits -- */

EXPORT int vhm_vcpu_dispatch(struct vhm_vcpu *vcpu, const struct vhm_callbacks *callbacks,
			     void *context)
{
	switch (vcpu->run->exit_reason) {
	case VHM_EXIT_NONE:
	case VHM_EXIT_INTERRUPTED:
	case VHM_EXIT_KICKED:
		return 0;
	case VHM_EXIT_IO:
		return dispatch_io(vcpu, callbacks, context);
	case VHM_EXIT_MMIO:
		return dispatch_mmio(vcpu, callbacks, context);
	case VHM_EXIT_MSR:
		return dispatch_msr(vcpu, callbacks, context);
	case VHM_EXIT_EOI:
		return callbacks->eoi ? callbacks->eoi(context, vcpu->run->eoi.vector) : 0;
	default:
		return VHM_DISPATCH_UNHANDLED;
	}
}

EXPORT int vhm_vcpu_get_paging(struct vhm_vcpu *vcpu, struct vhm_paging *paging)
{
	struct vhm_registers regs;
	struct vhm_sregisters sregs;
	int ret = vhm_vcpu_get_sregisters(vcpu, &sregs);

	if (!ret)
		ret = vhm_vcpu_get_registers(vcpu, &regs);
	if (ret)
		return ret;
	*paging = (struct vhm_paging){
		.cr0 = sregs.cr0, .cr3 = sregs.cr3, .cr4 = sregs.cr4, .efer = sregs.efer,
		.rflags = regs.rflags,
	};
	if (sregs.cr4 & CR4_PKE)
		ret = vhm_vector_pkru(vcpu, &paging->pkru);
	return ret;
}
