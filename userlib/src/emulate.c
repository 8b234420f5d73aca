// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Accesses of an emulated instruction: segment, page, then memory, local APIC or device.
 *
 * The lock of the memory table is taken inside the helpers it calls, and never held while
 * a callback runs. Instructions are insn.c's.
 */
#include "emulate.h"

#include <string.h>

#define CR0_PE			(1ull << 0)
#define CR0_PG			(1ull << 31)
#define CR4_LA57		(1ull << 12)
#define CR4_PKE			(1ull << 22)

#define RIGHTS_WRITABLE		(1u << 1)	/* data; of code: readable */
#define RIGHTS_EXPAND_DOWN	(1u << 2)
#define RIGHTS_CODE		(1u << 3)
#define RIGHTS_BIG		(1u << 14)
#define RIGHTS_UNUSABLE		(1u << 16)

#define APIC_BASE_X2APIC	(1ull << 10)
#define APIC_BASE_ENABLED	(1ull << 11)

int emulate_raise(struct emulator *emulator, uint32_t vector, uint32_t error_code,
		  uint64_t payload)
{
	emulator->fault = (struct vhm_event){
		.flags = VHM_EVENT_VALID,
		.vector = vector,
		.error_code = error_code,
		.payload = payload,
	};
	return EMULATE_FAULT;
}

int emulate_need_sregs(struct emulator *emulator)
{
	int ret;

	if (emulator->sregs_valid)
		return 0;
	ret = vhm_vcpu_get_sregisters(emulator->vcpu, &emulator->sregs);
	if (!ret)
		emulator->sregs_valid = true;
	return ret;
}

/* -------------------------------------------------------------- segments -- */

static int raise_segment(struct emulator *emulator, unsigned int segment)
{
	return emulate_raise(emulator, segment == VHM_SEGMENT_SS ? VECTOR_SS : VECTOR_GP, 0, 0);
}

static bool is_canonical(const struct emulator *emulator, uint64_t linear)
{
	unsigned int unused_bits = emulator->paging.cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(linear << unused_bits) >> unused_bits) == linear;
}

/* Without protection (real and virtual-8086 mode) a segment has a limit but no type. */
static bool has_protection(const struct emulator *emulator)
{
	return emulator->paging.cr0 & CR0_PE && !(emulator->regs->rflags & RFLAGS_VM);
}

/* SDM vol. 3, 5.5, Type Checking */
static bool type_allows(uint32_t rights, bool write)
{
	if (rights & RIGHTS_CODE)
		return !write && rights & RIGHTS_WRITABLE;
	return !write || rights & RIGHTS_WRITABLE;
}

/* SDM vol. 3, 5.3, Limit Checking */
static bool limit_allows(const struct vhm_segment *segment, uint64_t offset, unsigned int bytes)
{
	uint64_t last = offset + bytes - 1;
	bool data = !(segment->access_rights & RIGHTS_CODE);

	if (data && segment->access_rights & RIGHTS_EXPAND_DOWN) {
		uint64_t top = segment->access_rights & RIGHTS_BIG ? UINT32_MAX : UINT16_MAX;

		return offset > segment->limit && last <= top;
	}
	return last <= segment->limit;
}

static int linear_64(struct emulator *emulator, unsigned int segment, uint64_t offset,
		     unsigned int bytes, uint64_t *linear)
{
	uint64_t base = 0;

	if (segment == VHM_SEGMENT_FS || segment == VHM_SEGMENT_GS) {
		int ret = emulate_need_sregs(emulator);

		if (ret)
			return ret;
		base = emulator->sregs.segment[segment].base;
	}
	*linear = base + offset;
	if (!is_canonical(emulator, *linear) || !is_canonical(emulator, *linear + bytes - 1))
		return raise_segment(emulator, segment);
	return 0;
}

int emulate_linear(struct emulator *emulator, unsigned int segment, uint64_t offset,
		   unsigned int bytes, bool write, uint64_t *linear)
{
	const struct vhm_segment *descriptor;
	int ret;

	if (segment > VHM_SEGMENT_GS)
		return -EOPNOTSUPP;
	if (emulator->code_bits == 64)
		return linear_64(emulator, segment, offset, bytes, linear);
	if (emulate_is_exit(emulator, segment, offset, bytes, write)) {
		*linear = offset;
		return 0;
	}
	ret = emulate_need_sregs(emulator);
	if (ret)
		return ret;
	descriptor = &emulator->sregs.segment[segment];
	if (has_protection(emulator) &&
	    (descriptor->access_rights & RIGHTS_UNUSABLE ||
	     !type_allows(descriptor->access_rights, write)))
		return raise_segment(emulator, segment);
	if (!limit_allows(descriptor, offset, bytes))
		return raise_segment(emulator, segment);
	*linear = (uint32_t)(descriptor->base + offset);
	return 0;
}

/* ----------------------------------------------------------------- pages -- */

/* The part of an access that lies in one page. */
struct piece {
	uint64_t gpa;
	unsigned int bytes;
};

/* The processor has translated this page for this very access: take its word. */
static bool exit_translates(const struct emulator *emulator, uint64_t linear, uint32_t access)
{
	const struct vhm_exit_mmio *mmio = emulator->mmio;

	if (!mmio || !(mmio->flags & VHM_MMIO_LINEAR_VALID) || mmio->flags & VHM_MMIO_WALK)
		return false;
	if (access & VHM_ACCESS_FETCH || !(mmio->flags & (VHM_MMIO_READ | VHM_MMIO_WRITE)))
		return false;
	if (access & VHM_ACCESS_WRITE && !(mmio->flags & VHM_MMIO_WRITE))
		return false;
	return !((linear ^ mmio->linear_address) & ~PAGE_OFFSET_MASK);
}

/* Fetches do not look at protection keys. */
static int need_pkru(struct emulator *emulator, uint32_t access)
{
	int ret;

	if (!(emulator->paging.cr4 & CR4_PKE) || emulator->pkru_valid || access & VHM_ACCESS_FETCH)
		return 0;
	ret = vhm_vector_pkru(emulator->vcpu, &emulator->paging.pkru);
	if (!ret)
		emulator->pkru_valid = true;
	return ret;
}

/* With vhm_vm.memory_lock held for reading */
static int translate_locked(struct emulator *emulator, uint64_t linear, uint32_t access,
			    uint64_t *gpa)
{
	struct vhm_translation translation;
	int ret;

	if (!(emulator->paging.cr0 & CR0_PG)) {
		*gpa = (uint32_t)linear;
		return 0;
	}
	if (emulator->cpl == 3)
		access |= VHM_ACCESS_USER;
	ret = vhm_translate_locked(emulator->vcpu->vm, &emulator->paging, linear, access,
				   &translation);
	*gpa = translation.gpa;
	if (ret == -EFAULT)
		return emulate_raise(emulator, VECTOR_PF, translation.error_code, linear);
	if (ret == -EINVAL)
		return emulate_raise(emulator, VECTOR_GP, 0, 0);
	return ret == -ENXIO ? -EFAULT : ret;
}

static int translate(struct emulator *emulator, uint64_t linear, uint32_t access, uint64_t *gpa)
{
	struct vhm_vm *vm = emulator->vcpu->vm;
	int ret;

	if (exit_translates(emulator, linear, access)) {
		*gpa = (emulator->mmio->gpa & ~PAGE_OFFSET_MASK) | (linear & PAGE_OFFSET_MASK);
		return 0;
	}
	ret = need_pkru(emulator, access);
	if (ret)
		return ret;
	pthread_rwlock_rdlock(&vm->memory_lock);
	ret = translate_locked(emulator, linear, access, gpa);
	pthread_rwlock_unlock(&vm->memory_lock);
	return ret;
}

/* All pages are translated before the first is touched, as the processor does. */
static int translate_pieces(struct emulator *emulator, uint64_t linear, unsigned int bytes,
			    uint32_t access, struct piece piece[2])
{
	unsigned int in_page = PAGE_BYTES - (unsigned int)(linear & PAGE_OFFSET_MASK);
	int ret;

	if (bytes > MAX_ACCESS_BYTES)
		return -EOPNOTSUPP;
	piece[0].bytes = bytes < in_page ? bytes : in_page;
	piece[1].bytes = bytes - piece[0].bytes;
	ret = translate(emulator, linear, access, &piece[0].gpa);
	if (ret || !piece[1].bytes)
		return ret;
	linear += piece[0].bytes;
	if (emulator->code_bits != 64)
		linear = (uint32_t)linear;
	return translate(emulator, linear, access, &piece[1].gpa);
}

/* ------------------------------------------------- memory, APIC, devices -- */

static int is_apic_page(struct emulator *emulator, uint64_t gpa, bool *result)
{
	uint64_t base;
	int ret;

	if (emulator->mmio && !((gpa ^ emulator->mmio->gpa) & ~PAGE_OFFSET_MASK)) {
		*result = emulator->mmio->flags & VHM_MMIO_APIC;
		return 0;
	}
	ret = emulate_need_sregs(emulator);
	if (ret)
		return ret;
	base = emulator->sregs.apic_base;
	*result = (base & (APIC_BASE_ENABLED | APIC_BASE_X2APIC)) == APIC_BASE_ENABLED &&
		  !((gpa ^ base) & ~PAGE_OFFSET_MASK);
	return 0;
}

/*
 * Registers are 32 bits at multiples of 16; what else an access covers reads as zero and
 * is not written (SDM vol. 3, 10.4.1, The Local APIC Block Diagram).
 */
static int apic_access(struct emulator *emulator, uint64_t gpa, void *data, unsigned int bytes,
		       bool write)
{
	uint32_t offset = gpa & PAGE_OFFSET_MASK & ~15ull;
	unsigned int skip = gpa & 15;
	uint32_t value = 0;
	int ret;

	if (write && (skip || bytes < sizeof(value)))
		return 0;
	if (write)
		memcpy(&value, data, sizeof(value));
	else
		memset(data, 0, bytes);
	if (skip >= sizeof(value))
		return 0;
	ret = vhm_vcpu_apic_access(emulator->vcpu, offset, write, &value);
	if (ret == -EINVAL)
		return 0;	/* no such register */
	if (ret || write)
		return ret;
	if (bytes > sizeof(value) - skip)
		bytes = sizeof(value) - skip;
	memcpy(data, (const uint8_t *)&value + skip, bytes);
	return 0;
}

static int callback_access(struct emulator *emulator, uint64_t gpa, void *data, unsigned int bytes,
			   bool write)
{
	const struct vhm_callbacks *callbacks = emulator->callbacks;
	int ret;

	if (write) {
		if (!callbacks->mmio_write)
			return 0;
		ret = callbacks->mmio_write(emulator->context, gpa, bytes, data);
		return emulate_callback(emulator, ret);
	}
	memset(data, 0xff, bytes);
	if (!callbacks->mmio_read)
		return 0;
	ret = callbacks->mmio_read(emulator->context, gpa, bytes, data);
	return emulate_callback(emulator, ret);
}

static int device_access(struct emulator *emulator, const struct piece *piece, void *data,
			 bool write)
{
	bool apic;
	int ret = is_apic_page(emulator, piece->gpa, &apic);

	if (ret)
		return ret;
	if (apic)
		return apic_access(emulator, piece->gpa, data, piece->bytes, write);
	return callback_access(emulator, piece->gpa, data, piece->bytes, write);
}

static uint64_t exit_gpa(const struct vhm_exit_mmio *mmio)
{
	return (mmio->gpa & ~PAGE_OFFSET_MASK) | (mmio->linear_address & PAGE_OFFSET_MASK);
}

int emulate_exit_read(struct emulator *emulator, uint64_t *value, unsigned int bytes)
{
	*value = 0;
	return callback_access(emulator, exit_gpa(emulator->mmio), value, bytes, false);
}

int emulate_exit_write(struct emulator *emulator, uint64_t value, unsigned int bytes)
{
	return callback_access(emulator, exit_gpa(emulator->mmio), &value, bytes, true);
}

/* emulate_fetch() has looked at the page of the exit already. */
static enum memory_kind find_kind(const struct emulator *emulator, uint64_t gpa)
{
	const struct vhm_exit_mmio *mmio = emulator->mmio;

	if (!mmio || (gpa ^ mmio->gpa) & ~PAGE_OFFSET_MASK)
		return vhm_memory_kind(emulator->vcpu->vm, gpa);
	return emulator->exit_kind;
}

static int access_piece(struct emulator *emulator, const struct piece *piece, void *data,
			bool write)
{
	enum memory_kind kind = find_kind(emulator, piece->gpa);
	struct vhm_vm *vm = emulator->vcpu->vm;
	int ret;

	if (kind == MEMORY_NONE || (write && kind == MEMORY_ROM))
		return device_access(emulator, piece, data, write);
	if (write)
		ret = vhm_memory_write(vm, piece->gpa, data, piece->bytes);
	else
		ret = vhm_memory_read(vm, piece->gpa, data, piece->bytes);
	/* Another thread removed the slot meanwhile. */
	if (ret == -EFAULT)
		return device_access(emulator, piece, data, write);
	return ret;
}

int emulate_read(struct emulator *emulator, uint64_t linear, void *data, unsigned int bytes,
		 uint32_t access)
{
	struct piece piece[2];
	int ret = translate_pieces(emulator, linear, bytes, access, piece);

	if (!ret)
		ret = access_piece(emulator, &piece[0], data, false);
	if (!ret && piece[1].bytes)
		ret = access_piece(emulator, &piece[1], (uint8_t *)data + piece[0].bytes, false);
	return ret;
}

int emulate_write(struct emulator *emulator, uint64_t linear, const void *data,
		  unsigned int bytes)
{
	uint8_t copy[MAX_ACCESS_BYTES];
	struct piece piece[2];
	int ret = translate_pieces(emulator, linear, bytes, VHM_ACCESS_WRITE, piece);

	if (ret)
		return ret;
	memcpy(copy, data, bytes);
	ret = access_piece(emulator, &piece[0], copy, true);
	if (!ret && piece[1].bytes)
		ret = access_piece(emulator, &piece[1], copy + piece[0].bytes, true);
	return ret;
}

int emulate_probe_write(struct emulator *emulator, uint64_t linear, unsigned int bytes)
{
	struct piece piece[2];

	return translate_pieces(emulator, linear, bytes, VHM_ACCESS_WRITE, piece);
}

/*
 * An access whose first page is memory and whose second one is not exits with the address of the
 * second. So what begins a page could be the rest of an access, in a segment that starts just
 * below 4 GiB, unless no memory is before it.
 */
static bool exit_may_be_tail(const struct emulator *emulator)
{
	const struct vhm_exit_mmio *mmio = emulator->mmio;
	const struct vhm_vm *vm = emulator->vcpu->vm;
	struct vhm_translation translation = { .gpa = (uint32_t)mmio->linear_address - 1u };

	/* In 64-bit mode segments start at 0, and FS and GS are left out. */
	if (emulator->code_bits == 64 || mmio->linear_address & PAGE_OFFSET_MASK)
		return false;
	if (emulator->paging.cr0 & CR0_PG &&
	    vhm_translate_locked(vm, &emulator->paging, translation.gpa, VHM_ACCESS_DEBUG,
				 &translation))
		return false;
	return vhm_memory_kind_locked(vm, translation.gpa) != MEMORY_NONE;
}

static int look_at_exit_locked(struct emulator *emulator)
{
	const struct vhm_exit_mmio *mmio = emulator->mmio;

	if (emulator->redirects) {
		emulator->exit_kind = MEMORY_NONE;
		return 0;
	}
	emulator->exit_kind = vhm_memory_kind_locked(emulator->vcpu->vm, mmio->gpa);
	if (emulate_is_memory(mmio, emulator->exit_kind)) {
		emulator->keeps_registers = true;
		return EMULATE_AGAIN;
	}
	if (mmio->flags & VHM_MMIO_APIC)
		emulator->exit_kind = MEMORY_NONE;
	emulator->exit_is_plain = emulator->exit_kind == MEMORY_NONE &&
				  (mmio->flags & (VHM_MMIO_LINEAR_VALID | VHM_MMIO_APIC)) ==
				  VHM_MMIO_LINEAR_VALID && !exit_may_be_tail(emulator);
	return 0;
}

static int fetch_locked(struct emulator *emulator, uint64_t linear, uint8_t *data,
			unsigned int bytes)
{
	const struct vhm_vm *vm = emulator->vcpu->vm;
	const uint8_t *code;
	uint64_t gpa;
	int ret;

	ret = look_at_exit_locked(emulator);
	if (ret)
		return ret;
	ret = translate_locked(emulator, linear, VHM_ACCESS_FETCH, &gpa);
	if (ret)
		return ret;
	code = vhm_memory_pointer_locked(vm, gpa, bytes);
	if (!code)
		return -EFAULT;
	if (bytes == MAX_INSN_BYTES)
		memcpy(data, code, MAX_INSN_BYTES);	/* a size the compiler knows */
	else
		memcpy(data, code, bytes);
	return 0;
}

int emulate_fetch(struct emulator *emulator, unsigned int skip, uint8_t *data,
		  unsigned int room, unsigned int *bytes)
{
	struct vhm_vm *vm = emulator->vcpu->vm;
	uint64_t linear = emulator->regs->rip + skip;
	unsigned int in_page;
	int ret;

	if (emulator->code_bits != 64)
		linear = (uint32_t)(emulator->mmio->cs_base + linear);
	in_page = PAGE_BYTES - (unsigned int)(linear & PAGE_OFFSET_MASK);
	*bytes = room < in_page ? room : in_page;
	pthread_rwlock_rdlock(&vm->memory_lock);
	ret = fetch_locked(emulator, linear, data, *bytes);
	pthread_rwlock_unlock(&vm->memory_lock);
	return ret;
}
