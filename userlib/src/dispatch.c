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

/* ----------------------------------------------------------- completing -- */

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

static int port_in(struct emulator *emulator, const struct vhm_exit_io *io, uint32_t *value)
{
	int ret = 0;

	*value = UINT32_MAX;
	if (emulator->callbacks->io_read)
		ret = emulator->callbacks->io_read(emulator->context, io->port, io->bytes, value);
	return emulate_callback(emulator, ret);
}

static int port_out(struct emulator *emulator, const struct vhm_exit_io *io, uint32_t value)
{
	int ret = 0;

	value &= (uint32_t)mask_bytes(io->bytes);
	if (emulator->callbacks->io_write)
		ret = emulator->callbacks->io_write(emulator->context, io->port, io->bytes, value);
	return emulate_callback(emulator, ret);
}

static int single_io(struct emulator *emulator, const struct vhm_exit_io *io)
{
	uint32_t value;
	int ret;

	if (!(io->flags & VHM_IO_IN)) {
		emulator->keeps_registers = true;
		return port_out(emulator, io, io->data);
	}
	ret = port_in(emulator, io, &value);
	if (!ret)
		emulator->regs->rax = merge_register(emulator->regs->rax, value, io->bytes);
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
			ret = port_in(emulator, io, &value);
		if (!ret)
			ret = emulate_write(emulator, linear, &value, io->bytes);
	} else {
		ret = emulate_read(emulator, linear, &value, io->bytes, 0);
		if (!ret)
			ret = port_out(emulator, io, value);
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
		if (done == MAX_STRING_ELEMENTS || emulator->stop)
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

static int dispatch_io(struct emulator *emulator)
{
	struct vhm_run *run = emulator->vcpu->run;
	const struct vhm_exit_io io = run->io;
	int ret;

	if ((io.bytes != 1 && io.bytes != 2 && io.bytes != 4) || !run->insn_bytes)
		return -EPROTO;
	if (!(io.flags & VHM_IO_STRING))
		return finish(emulator, single_io(emulator, &io), run->insn_bytes);
	ret = prepare_string(emulator);
	if (ret)
		return ret;
	return finish(emulator, string_io(emulator, &io), run->insn_bytes);
}

/* --------------------------------------------------------------- memory -- */

static int dispatch_mmio(struct emulator *emulator)
{
	const struct vhm_exit_mmio *mmio = &emulator->vcpu->run->mmio;
	unsigned int insn_bytes = 0;
	int ret;

	/* Code or page tables where no memory is: no instruction could make it right. */
	if (mmio->flags & (VHM_MMIO_FETCH | VHM_MMIO_WALK))
		return emulate_is_memory(mmio, vhm_memory_kind(emulator->vcpu->vm, mmio->gpa)) ?
		       0 : -EFAULT;
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

/* ----------------------------------------------------------------- MSRs -- */

static int dispatch_msr(struct emulator *emulator)
{
	const struct vhm_callbacks *callbacks = emulator->callbacks;
	struct vhm_run *run = emulator->vcpu->run;
	const struct vhm_exit_msr msr = run->msr;
	uint64_t value = 0;
	int ret = -ENOENT;

	if (!run->insn_bytes)
		return -EPROTO;
	if (msr.flags & VHM_MSR_WRITE) {
		emulator->keeps_registers = true;
		if (callbacks->msr_write)
			ret = callbacks->msr_write(emulator->context, msr.index, msr.value);
	} else if (callbacks->msr_read) {
		ret = callbacks->msr_read(emulator->context, msr.index, &value);
	}
	if (ret == -ENOENT)
		return vhm_vcpu_inject(emulator->vcpu, VECTOR_GP, 0, 0);
	ret = emulate_callback(emulator, ret);
	if (!ret && !(msr.flags & VHM_MSR_WRITE)) {
		emulator->regs->rax = (uint32_t)value;
		emulator->regs->rdx = value >> 32;
	}
	return finish(emulator, ret, run->insn_bytes);
}

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
	emulator->regs = &vcpu->run->regs;
	emulator->keeps_registers = false;
	emulator->paging = (struct vhm_paging){ 0 };
	emulator->pkru_valid = false;
	emulator->sregs_valid = false;
	emulator->stop = 0;
}

EXPORT int vhm_vcpu_dispatch(struct vhm_vcpu *vcpu, const struct vhm_callbacks *callbacks,
			     void *context)
{
	struct emulator emulator;

	init_emulator(&emulator, vcpu, callbacks, context);
	switch (vcpu->run->exit_reason) {
	case VHM_EXIT_NONE:
	case VHM_EXIT_INTERRUPTED:
	case VHM_EXIT_KICKED:
		return 0;
	case VHM_EXIT_IO:
		return dispatch_io(&emulator);
	case VHM_EXIT_MMIO:
		return dispatch_mmio(&emulator);
	case VHM_EXIT_MSR:
		return dispatch_msr(&emulator);
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
