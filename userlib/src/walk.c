// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The guest's page tables: translation of a linear address (SDM vol. 3, chapter 4, Paging).
 *
 * vhm_vm.memory_lock is held for reading during a walk. Entries change under our eyes:
 * each is read once, and accessed and dirty flags are set with a compare-and-exchange against
 * what was read; if that fails the walk starts again. Protection keys of supervisor
 * pages (PKS), CET's shadow stacks and HLAT are not looked at.
 */
#include "internal.h"

#define CR0_WP			(1ull << 16)
#define CR0_PG			(1ull << 31)
#define CR4_PSE			(1ull << 4)
#define CR4_PAE			(1ull << 5)
#define CR4_LA57		(1ull << 12)
#define CR4_SMEP		(1ull << 20)
#define CR4_SMAP		(1ull << 21)
#define CR4_PKE			(1ull << 22)
#define EFER_LMA		(1ull << 10)
#define EFER_NXE		(1ull << 11)
#define RFLAGS_AC		(1ull << 18)

/* SDM vol. 3, 4.7, Page-Fault Exceptions */
#define FAULT_PRESENT		(1u << 0)
#define FAULT_WRITE		(1u << 1)
#define FAULT_USER		(1u << 2)
#define FAULT_RESERVED		(1u << 3)
#define FAULT_FETCH		(1u << 4)
#define FAULT_KEY		(1u << 5)

#define ENTRY_PRESENT		(1ull << 0)
#define ENTRY_WRITABLE		(1ull << 1)
#define ENTRY_USER		(1ull << 2)
#define ENTRY_ACCESSED		(1ull << 5)
#define ENTRY_DIRTY		(1ull << 6)
#define ENTRY_LARGE		(1ull << 7)
#define ENTRY_NX		(1ull << 63)
#define ENTRY_KEY_SHIFT		59
#define PDPTE_PAE_RESERVED	0x1e6ull	/* bits 1, 2, 5-8 */

#define MAX_LEVELS		5
#define MAX_RESTARTS		64

/**
 * struct walk - one walk
 * @vm: the VM
 * @paging: control registers
 * @linear: address
 * @access: bits of enum vhm_access
 * @levels: 2 (32-bit), 3 (PAE), 4 or 5
 * @entry_bytes: 4 or 8
 * @entry: entries read, [0] is the leaf's level 1
 * @entry_gpa: where they are in guest memory
 * @pointer: and here; NULL if their flags are not ours to set
 * @slot: where the last entry is, NULL before the first
 * @gpa_mask: bits a guest-physical address can have
 * @reserved: bits that are reserved in each entry of 8 bytes
 * @common: bits all entries have, those without rights left out
 * @leaf_level: level of the leaf, from 1
 * @writable: all levels allow writes
 * @user: all levels allow user accesses
 * @no_execute: one level forbids fetches
 * @fault: bits of the error code found so far
 */
struct walk {
	const struct vhm_vm *vm;
	const struct vhm_paging *paging;
	uint64_t linear;
	uint32_t access;
	unsigned int levels;
	unsigned int entry_bytes;
	uint64_t entry[MAX_LEVELS];
	uint64_t entry_gpa[MAX_LEVELS];
	void *pointer[MAX_LEVELS];
	const struct memory_slot *slot;
	uint64_t gpa_mask;
	uint64_t reserved;
	uint64_t common;
	unsigned int leaf_level;
	bool writable;
	bool user;
	bool no_execute;
	uint32_t fault;
};

/* Bits 51:12 as far as the guest's physical addresses reach. */
static uint64_t address_mask(const struct walk *walk)
{
	if (walk->entry_bytes == 4)
		return 0xfffff000;
	return walk->gpa_mask & ~PAGE_OFFSET_MASK;
}

static unsigned int level_shift(const struct walk *walk, unsigned int level)
{
	return 12 + (level - 1) * (walk->entry_bytes == 4 ? 10 : 9);
}

/* Bits of a present entry that must be zero (SDM vol. 3, tables 4-4 to 4-20). */
static uint64_t reserved_bits(const struct walk *walk, unsigned int level, uint64_t entry)
{
	bool large = level > 1 && entry & ENTRY_LARGE;
	uint64_t reserved;

	if (walk->entry_bytes == 4) {
		unsigned int bits = walk->vm->vhm->info.gpa_bits;
		uint64_t pse36;

		if (!large || !(walk->paging->cr4 & CR4_PSE))
			return 0;
		/* 4 MiB pages: bits 20:13 are address bits 39:32, bit 21 is reserved */
		pse36 = bits >= 40 ? 0xff : (1u << (bits - 32)) - 1;
		return 1ull << 21 | (0xff & ~pse36) << 13;
	}
	reserved = walk->reserved;
	if (walk->levels == 3 && level == 3)
		return reserved | ENTRY_NX | PDPTE_PAE_RESERVED;
	if (level > 3)
		return reserved | ENTRY_LARGE;
	if (large)
		reserved |= ((1ull << level_shift(walk, level)) - 1) & ~0x1fffull;
	return reserved;
}

/* What reserved_bits() starts from. */
static uint64_t always_reserved_bits(const struct walk *walk)
{
	uint64_t reserved = ~walk->gpa_mask & ((1ull << 52) - 1);

	if (!(walk->paging->efer & EFER_NXE))
		reserved |= ENTRY_NX;
	if (walk->levels == 3)
		reserved |= 0x7ffull << 52;	/* PAE: bits 62:52 are reserved too */
	return reserved;
}

static bool is_leaf(const struct walk *walk, unsigned int level, uint64_t entry)
{
	if (level == 1)
		return true;
	if (!(entry & ENTRY_LARGE) || (walk->levels == 3 && level == 3))
		return false;
	return walk->entry_bytes == 8 || walk->paging->cr4 & CR4_PSE;
}

static void collect_rights(struct walk *walk, unsigned int level, uint64_t entry)
{
	if (walk->levels == 3 && level == 3)
		return;		/* a PDPTE of PAE paging has no rights */
	walk->common &= entry;
	if (walk->entry_bytes == 8 && walk->paging->efer & EFER_NXE)
		walk->no_execute |= !!(entry & ENTRY_NX);
}

static int read_entry(struct walk *walk, unsigned int level, uint64_t table)
{
	unsigned int index_bits = walk->entry_bytes == 4 ? 10 : 9;
	uint64_t index = walk->linear >> level_shift(walk, level) & ((1u << index_bits) - 1);
	uint64_t gpa = table + index * walk->entry_bytes;
	const struct memory_slot *slot = walk->slot;
	void *pointer;

	/* Tables lie side by side as a rule. */
	if (!slot || gpa - slot->gpa >= slot->bytes) {
		slot = vhm_memory_find_locked(walk->vm, gpa);
		if (!slot)
			return -ENXIO;
		walk->slot = slot;
	}
	/* Entries are aligned and slots are whole pages: all of the entry is in the slot. */
	pointer = slot->address + (gpa - slot->gpa);
	walk->entry_gpa[level - 1] = gpa;
	walk->pointer[level - 1] = slot->flags & VHM_SLOT_READONLY ? NULL : pointer;
	if (walk->entry_bytes == 4)
		walk->entry[level - 1] = __atomic_load_n((uint32_t *)pointer, __ATOMIC_ACQUIRE);
	else
		walk->entry[level - 1] = __atomic_load_n((uint64_t *)pointer, __ATOMIC_ACQUIRE);
	return 0;
}

/* From the top to the leaf. -EFAULT with walk->fault set: not present, or a reserved bit. */
static int descend(struct walk *walk)
{
	uint64_t table = walk->paging->cr3 & address_mask(walk);
	unsigned int level;

	if (walk->levels == 3)
		table = walk->paging->cr3 & 0xffffffe0;
	walk->common = UINT64_MAX;
	walk->no_execute = false;
	for (level = walk->levels; ; level--) {
		uint64_t entry;
		int ret;

		ret = read_entry(walk, level, table);
		if (ret)
			return ret;
		entry = walk->entry[level - 1];
		if (!(entry & ENTRY_PRESENT))
			return -EFAULT;
		walk->fault |= FAULT_PRESENT;
		if (entry & reserved_bits(walk, level, entry)) {
			walk->fault |= FAULT_RESERVED;
			return -EFAULT;
		}
		walk->fault &= ~FAULT_PRESENT;
		collect_rights(walk, level, entry);
		if (is_leaf(walk, level, entry)) {
			walk->leaf_level = level;
			walk->writable = walk->common & ENTRY_WRITABLE;
			walk->user = walk->common & ENTRY_USER;
			return 0;
		}
		table = entry & address_mask(walk);
	}
}

/* SDM vol. 3, 4.6.2, Protection Keys: user pages only */
static bool key_allows(const struct walk *walk)
{
	const struct vhm_paging *paging = walk->paging;
	unsigned int key = walk->entry[walk->leaf_level - 1] >> ENTRY_KEY_SHIFT & 15;
	uint32_t rights = paging->pkru >> (2 * key) & 3;

	if (walk->levels < 4 || !(paging->cr4 & CR4_PKE) || !walk->user ||
	    walk->access & VHM_ACCESS_FETCH)
		return true;
	if (rights & 1)
		return false;
	if (!(rights & 2) || !(walk->access & VHM_ACCESS_WRITE))
		return true;
	return !(walk->access & VHM_ACCESS_USER) && !(paging->cr0 & CR0_WP);
}

/* SDM vol. 3, 4.6.1, Determination of Access Rights */
static bool rights_allow(const struct walk *walk)
{
	const struct vhm_paging *paging = walk->paging;
	uint32_t access = walk->access;
	bool user_access = access & VHM_ACCESS_USER && !(access & VHM_ACCESS_IMPLICIT);

	if (access & VHM_ACCESS_FETCH) {
		if (walk->no_execute)
			return false;
		if (user_access)
			return walk->user;
		return !walk->user || !(paging->cr4 & CR4_SMEP);
	}
	if (user_access)
		return walk->user && (walk->writable || !(access & VHM_ACCESS_WRITE));
	if (walk->user && paging->cr4 & CR4_SMAP &&
	    (access & VHM_ACCESS_IMPLICIT || !(paging->rflags & RFLAGS_AC)))
		return false;
	return walk->writable || !(access & VHM_ACCESS_WRITE) || !(paging->cr0 & CR0_WP);
}

/* False: the entry changed since it was read. */
static bool exchange(const struct walk *walk, unsigned int level, uint64_t flags)
{
	void *pointer = walk->pointer[level - 1];
	uint64_t old64 = walk->entry[level - 1];
	uint32_t old32 = (uint32_t)old64;

	if (walk->entry_bytes == 4)
		return __atomic_compare_exchange_n((uint32_t *)pointer, &old32,
						   old32 | (uint32_t)flags, false,
						   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	return __atomic_compare_exchange_n((uint64_t *)pointer, &old64, old64 | flags, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static int set_flags(const struct walk *walk, unsigned int level, uint64_t flags)
{
	if ((walk->entry[level - 1] & flags) == flags || !walk->pointer[level - 1])
		return 0;
	if (!exchange(walk, level, flags))
		return -EAGAIN;
	return vhm_note_written_locked(walk->vm, walk->entry_gpa[level - 1], walk->entry_bytes);
}

/* SDM vol. 3, 4.8, Accessed and Dirty Flags. -EAGAIN: an entry changed meanwhile. */
static int set_accessed_and_dirty(const struct walk *walk)
{
	uint64_t leaf_flags = ENTRY_ACCESSED;
	unsigned int level;
	int ret = 0;

	if (walk->access & VHM_ACCESS_WRITE)
		leaf_flags |= ENTRY_DIRTY;
	if (walk->common & ENTRY_ACCESSED &&
	    (walk->entry[walk->leaf_level - 1] & leaf_flags) == leaf_flags)
		return 0;
	for (level = walk->levels; !ret && level >= walk->leaf_level; level--) {
		if (walk->levels == 3 && level == 3)
			continue;
		ret = set_flags(walk, level,
				level == walk->leaf_level ? leaf_flags : ENTRY_ACCESSED);
	}
	return ret;
}

static void fill_in(const struct walk *walk, struct vhm_translation *out)
{
	uint64_t leaf = walk->entry[walk->leaf_level - 1];
	uint64_t bytes = 1ull << level_shift(walk, walk->leaf_level);
	uint64_t base = leaf & address_mask(walk) & ~(bytes - 1);

	if (walk->entry_bytes == 4 && walk->leaf_level == 2)
		base |= (leaf >> 13 & 0xff) << 32;
	out->gpa = base | (walk->linear & (bytes - 1));
	out->page_bytes = bytes;
}

static uint32_t access_error_code(const struct walk *walk)
{
	const struct vhm_paging *paging = walk->paging;
	uint32_t code = 0;

	if (walk->access & VHM_ACCESS_WRITE)
		code |= FAULT_WRITE;
	if (walk->access & VHM_ACCESS_USER && !(walk->access & VHM_ACCESS_IMPLICIT))
		code |= FAULT_USER;
	if (walk->access & VHM_ACCESS_FETCH &&
	    (paging->cr4 & CR4_SMEP || (walk->entry_bytes == 8 && paging->efer & EFER_NXE)))
		code |= FAULT_FETCH;
	return code;
}

/* One attempt; -EAGAIN: an entry changed meanwhile. */
static int walk_once(struct walk *walk, struct vhm_translation *out)
{
	int ret;

	walk->fault = 0;
	ret = descend(walk);
	if (!ret && !(walk->access & VHM_ACCESS_DEBUG)) {
		bool key = key_allows(walk);

		if (!key)
			walk->fault |= FAULT_PRESENT | FAULT_KEY;
		if (!rights_allow(walk))
			walk->fault |= FAULT_PRESENT;
		if (walk->fault)
			ret = -EFAULT;
		else
			ret = set_accessed_and_dirty(walk);
	}
	if (ret == -EFAULT)
		out->error_code = walk->fault | access_error_code(walk);
	if (!ret)
		fill_in(walk, out);
	return ret;
}

/* Levels of the paging mode, 0 without paging, -EINVAL if the address is not canonical. */
static int paging_levels(const struct vhm_paging *paging, uint64_t linear)
{
	unsigned int unused_bits;

	if (!(paging->cr0 & CR0_PG))
		return 0;
	if (!(paging->cr4 & CR4_PAE))
		return 2;
	if (!(paging->efer & EFER_LMA))
		return 3;
	unused_bits = paging->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;
	if ((uint64_t)((int64_t)(linear << unused_bits) >> unused_bits) != linear)
		return -EINVAL;
	return paging->cr4 & CR4_LA57 ? 5 : 4;
}

int vhm_translate_locked(const struct vhm_vm *vm, const struct vhm_paging *paging, uint64_t linear,
			 uint32_t access, struct vhm_translation *out)
{
	int levels = paging_levels(paging, linear);
	unsigned int restarts;
	struct walk walk;
	int ret = -EAGAIN;

	*out = (struct vhm_translation){ .page_bytes = PAGE_BYTES };
	if (levels < 0)
		return levels;
	if (levels <= 3)
		linear &= UINT32_MAX;
	if (!levels) {
		out->gpa = linear;
		return 0;
	}
	walk.vm = vm;
	walk.paging = paging;
	walk.linear = linear;
	walk.access = access;
	walk.levels = (unsigned int)levels;
	walk.entry_bytes = levels == 2 ? 4 : 8;
	walk.slot = NULL;
	walk.gpa_mask = (1ull << vm->vhm->info.gpa_bits) - 1;
	walk.reserved = always_reserved_bits(&walk);
	for (restarts = 0; ret == -EAGAIN && restarts < MAX_RESTARTS; restarts++)
		ret = walk_once(&walk, out);
	return ret;
}

EXPORT int vhm_translate(struct vhm_vm *vm, const struct vhm_paging *paging, uint64_t linear,
			 uint32_t access, struct vhm_translation *out)
{
	int ret;

	pthread_rwlock_rdlock(&vm->memory_lock);
	ret = vhm_translate_locked(vm, paging, linear, access, out);
	pthread_rwlock_unlock(&vm->memory_lock);
	return ret;
}
