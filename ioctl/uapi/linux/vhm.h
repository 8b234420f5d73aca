/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * VHM, the hybrid virtual hardware manager: user-space interface.
 *
 * Four kinds of file descriptor: /dev/vhm creates VMs, a VM creates vCPUs and trackers, a
 * vCPU runs guest code, a tracker tells what the guest has written. All are close-on-exec;
 * closing them in any order frees everything.
 *
 * Every command takes a pointer to a struct whose first field is its size in
 * bytes, except VHM_VCPU_RUN and VHM_VCPU_KICK, which take 0. A struct may grow
 * at the end: a larger one is accepted while the part that this kernel does not
 * know is zero. Unknown flags and non-zero reserved fields are refused.
 *
 * Errors common to all commands:
 *
 * - ENOTTY: unknown command, or not a command of this kind of file descriptor
 * - EINVAL: size too small, unknown flag, reserved field not zero, malformed
 * - E2BIG: the struct is larger than known and the unknown tail is not zero
 * - EFAULT: the struct, or memory it points to, cannot be accessed
 * - EOPNOTSUPP: known, but not supported on this machine
 * - EPERM: slots, populating, running, state, CPUID and APIC access: the caller's address
 *   space is not the creator's
 * - EIO: the VM is dead (its creator's address space is gone, or the processor
 *   refused an operation that cannot fail; the kernel log says which)
 *
 * The layout of all structs is the same for 32-bit and 64-bit callers. Words
 * follow the Intel SDM, volume 3.
 */
#ifndef _UAPI_LINUX_VHM_H
#define _UAPI_LINUX_VHM_H

#include <linux/types.h>
#include <linux/ioctl.h>

#define VHM_ABI_VERSION		1
#define VHM_IOCTL_TYPE		0xba

/*
 * Command numbers are stable. 0x00-0x1f: the device; 0x20-0x3f: set-up of a VM;
 * 0x40-0x5f: set-up of a vCPU; 0x60-0x7f: a VM at run time; 0x80-0x9f: a vCPU at
 * run time; 0xa0-0xbf: a tracker. A sandboxed VMM needs only the ranges from 0x60 on once its
 * guest runs.
 */
#define VHM_GET_INFO		_IO(VHM_IOCTL_TYPE, 0x00)
#define VHM_GET_CPUID		_IO(VHM_IOCTL_TYPE, 0x01)
#define VHM_VM_CREATE		_IO(VHM_IOCTL_TYPE, 0x02)

#define VHM_VCPU_CREATE		_IO(VHM_IOCTL_TYPE, 0x20)
#define VHM_SLOT_ADD		_IO(VHM_IOCTL_TYPE, 0x21)
#define VHM_SLOT_REMOVE		_IO(VHM_IOCTL_TYPE, 0x22)
#define VHM_SLOT_EDIT		_IO(VHM_IOCTL_TYPE, 0x23)

#define VHM_VCPU_SET_CPUID	_IO(VHM_IOCTL_TYPE, 0x40)

#define VHM_VM_MSI		_IO(VHM_IOCTL_TYPE, 0x60)
#define VHM_VM_POPULATE		_IO(VHM_IOCTL_TYPE, 0x61)
#define VHM_VM_GET_MAPPED	_IO(VHM_IOCTL_TYPE, 0x62)
#define VHM_TRACKER_CREATE	_IO(VHM_IOCTL_TYPE, 0x63)
#define VHM_VM_NOTE_WRITTEN	_IO(VHM_IOCTL_TYPE, 0x64)
#define VHM_VM_SET_RIGHTS	_IO(VHM_IOCTL_TYPE, 0x65)

#define VHM_VCPU_RUN		_IO(VHM_IOCTL_TYPE, 0x80)
#define VHM_VCPU_KICK		_IO(VHM_IOCTL_TYPE, 0x81)
#define VHM_VCPU_GET_STATE	_IO(VHM_IOCTL_TYPE, 0x82)
#define VHM_VCPU_SET_STATE	_IO(VHM_IOCTL_TYPE, 0x83)
#define VHM_VCPU_NMI		_IO(VHM_IOCTL_TYPE, 0x84)
#define VHM_VCPU_APIC_ACCESS	_IO(VHM_IOCTL_TYPE, 0x85)
#define VHM_VCPU_GET_STATS	_IO(VHM_IOCTL_TYPE, 0x86)
#define VHM_VCPU_SET_CONTROL	_IO(VHM_IOCTL_TYPE, 0x87)

#define VHM_TRACKER_HARVEST	_IO(VHM_IOCTL_TYPE, 0xa0)

/* ---------------------------------------------------------------- device -- */

/**
 * enum vhm_feature - bits of vhm_info.features: what this CPU gives
 * @VHM_FEATURE_UNRESTRICTED: real-mode guests run natively (always set today)
 * @VHM_FEATURE_VPID: translations are tagged per vCPU
 * @VHM_FEATURE_APIC_REGISTERS: APIC-register virtualization; an xAPIC guest's
 *	reads and ordinary writes of its local APIC cause no VHM_EXIT_MMIO
 * @VHM_FEATURE_VIRTUAL_INTERRUPTS: virtual-interrupt delivery
 * @VHM_FEATURE_POSTED_INTERRUPTS: posted interrupts
 * @VHM_FEATURE_TSC_SCALING: TSC scaling
 * @VHM_FEATURE_EXECUTE_ONLY: execute-only guest memory
 * @VHM_FEATURE_EPT_2M: 2 MiB entries
 * @VHM_FEATURE_EPT_1G: 1 GiB entries
 * @VHM_FEATURE_EPT_AD: accessed and dirty bits
 * @VHM_FEATURE_WRITE_LOG: page-modification logging; without it, the first write to each page
 *	after a harvest costs an exit while there are trackers
 */
enum vhm_feature {
	VHM_FEATURE_UNRESTRICTED	= 1 << 0,
	VHM_FEATURE_VPID		= 1 << 1,
	VHM_FEATURE_APIC_REGISTERS	= 1 << 2,
	VHM_FEATURE_VIRTUAL_INTERRUPTS	= 1 << 3,
	VHM_FEATURE_POSTED_INTERRUPTS	= 1 << 4,
	VHM_FEATURE_TSC_SCALING		= 1 << 5,
	VHM_FEATURE_EXECUTE_ONLY	= 1 << 6,
	VHM_FEATURE_EPT_2M		= 1 << 7,
	VHM_FEATURE_EPT_1G		= 1 << 8,
	VHM_FEATURE_EPT_AD		= 1 << 9,
	VHM_FEATURE_WRITE_LOG		= 1 << 10,
};

/**
 * struct vhm_info - VHM_GET_INFO: version, features and limits
 * @size: size of this struct, bytes
 * @abi_version: out: VHM_ABI_VERSION of the module
 * @features: out: bits of enum vhm_feature
 * @max_vcpus: out: most vCPUs of a VM; vCPU ids are below it
 * @max_slots: out: most memory slots of a VM; slot ids are below it
 * @gpa_bits: out: width of a guest-physical address, bits
 * @max_cpuid_entries: out: most entries VHM_VCPU_SET_CPUID takes
 * @run_page_bytes: out: bytes to mmap() from a vCPU at offset 0
 * @tsc_khz: out: frequency of the host's TSC, kHz, and of a guest's unless vhm_time.tsc_khz
 *	says otherwise
 * @apic_timer_hz: out: frequency of the local APIC timer before division, Hz
 * @state_bytes: out: a buffer of this many bytes holds the whole state of any
 *	vCPU on this machine (VHM_VCPU_GET_STATE)
 * @xcr0: out: XCR0 bits a guest may set. Those of AMX (17, 18) only if the calling process has
 *	asked its host for them, before it creates its first vCPU:
 *	arch_prctl(ARCH_REQ_XCOMP_GUEST_PERM, 18)
 * @reserved: zero
 */
struct vhm_info {
	__u32 size;
	__u32 abi_version;
	__u64 features;
	__u32 max_vcpus;
	__u32 max_slots;
	__u32 gpa_bits;
	__u32 max_cpuid_entries;
	__u32 run_page_bytes;
	__u32 tsc_khz;
	__u32 apic_timer_hz;
	__u32 state_bytes;
	__u64 xcr0;
	__u64 reserved;
};

/**
 * struct vhm_cpuid_entry - the answer to one CPUID leaf
 * @leaf: EAX of the question
 * @subleaf: ECX of the question; ignored without VHM_CPUID_SUBLEAF
 * @flags: VHM_CPUID_SUBLEAF: the entry answers this subleaf alone
 * @eax: answer
 * @ebx: answer
 * @ecx: answer
 * @edx: answer
 * @reserved: zero
 */
struct vhm_cpuid_entry {
	__u32 leaf;
	__u32 subleaf;
	__u32 flags;
	__u32 eax;
	__u32 ebx;
	__u32 ecx;
	__u32 edx;
	__u32 reserved;
};

#define VHM_CPUID_SUBLEAF	(1u << 0)

/**
 * struct vhm_cpuid - VHM_GET_CPUID, VHM_VCPU_SET_CPUID: a CPUID table
 * @size: size of this struct, bytes
 * @entry_count: entries at @entries; VHM_GET_CPUID: in: room, out: entries
 *	there are (ENOSPC if more than fit; nothing is written then)
 * @entries: user pointer to an array of struct vhm_cpuid_entry
 *
 * VHM_GET_CPUID tells what a guest may be given: pass it to VHM_VCPU_SET_CPUID as
 * it is, with bits removed or with other hypervisor leaves (0x40000000-0x400000ff).
 * Fields that follow from guest state (APIC id, OSXSAVE, OSPKE, XSAVE area size)
 * are filled in when the guest asks. VHM_VCPU_SET_CPUID refuses with EINVAL a
 * feature bit that is not supported and with EBUSY a vCPU that has run; without
 * it a vCPU answers every CPUID with zeros. AMX is supported for processes whose
 * vhm_info.xcr0 has its bits.
 *
 * Leaves 0x40000000 and 0x40000001 are KVM's signature and features, as the kernel documents
 * them (Documentation/virt/kvm/x86). A guest whose leaf 0x40000000 has that signature may use the
 * features of VHM_GET_CPUID that its leaf 0x40000001 shows; the MSRs of others raise #GP, their
 * hypercalls are unknown. All else in these leaves is between the VMM and its guest.
 */
struct vhm_cpuid {
	__u32 size;
	__u32 entry_count;
	__u64 entries;
};

/**
 * enum vhm_vm_flag - flags of VHM_VM_CREATE
 * @VHM_VM_EXIT_UNKNOWN_MSR: an MSR the kernel does not model exits with
 *	VHM_EXIT_MSR; without it the guest receives #GP(0)
 * @VHM_VM_EXIT_HLT: HLT exits with VHM_EXIT_HLT; without it the vCPU sleeps in
 *	the kernel until an interrupt wakes it
 * @VHM_VM_EXIT_HYPERCALL: VMCALL exits with VHM_EXIT_HYPERCALL; without it RAX
 *	becomes -1000, which guests of KVM know as "unknown hypercall". Those that the guest's
 *	CPUID shows (VHM_GET_CPUID) are carried out by the kernel in either case
 */
enum vhm_vm_flag {
	VHM_VM_EXIT_UNKNOWN_MSR	= 1 << 0,
	VHM_VM_EXIT_HLT		= 1 << 1,
	VHM_VM_EXIT_HYPERCALL	= 1 << 2,
};

/**
 * struct vhm_vm_create - VHM_VM_CREATE: create a VM, return its descriptor
 * @size: size of this struct, bytes
 * @flags: bits of enum vhm_vm_flag
 *
 * The VM belongs to the caller's address space: its memory slots name ranges of
 * it, and only threads of it may run its vCPUs (others get EPERM).
 *
 * Errors: ENODEV no usable VMX (the kernel log says what is missing); EBUSY
 * another hypervisor holds VMX (rmmod kvm_intel); ENOMEM; EMFILE; EINTR a signal came
 * before the address space could be followed.
 */
struct vhm_vm_create {
	__u32 size;
	__u32 flags;
};

/* -------------------------------------------------------------------- VM -- */

/**
 * struct vhm_vcpu_create - VHM_VCPU_CREATE: add a vCPU, return its descriptor
 * @size: size of this struct, bytes
 * @flags: zero
 * @id: its number and local APIC id, below vhm_info.max_vcpus
 * @reserved: zero
 *
 * vCPU 0 is the bootstrap processor and starts in the reset state (SDM vol. 3,
 * 9.1.1, Processor State After Reset); others wait for INIT and SIPI.
 *
 * Errors: EEXIST the id is in use; ENOMEM; EMFILE.
 */
struct vhm_vcpu_create {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 reserved;
};

/**
 * enum vhm_slot_flag - flags of VHM_SLOT_ADD
 * @VHM_SLOT_READONLY: a guest's write exits with VHM_EXIT_MMIO
 */
enum vhm_slot_flag {
	VHM_SLOT_READONLY	= 1 << 0,
};

/**
 * struct vhm_slot - VHM_SLOT_ADD, VHM_SLOT_REMOVE: guest memory
 * @size: size of this struct, bytes
 * @flags: bits of enum vhm_slot_flag; zero for VHM_SLOT_REMOVE
 * @id: its number, below vhm_info.max_slots
 * @reserved: zero
 * @gpa: guest-physical address of its first byte, page aligned
 * @bytes: its size, whole pages, not zero
 * @user_address: address of its first byte in the creator's address space, page
 *	aligned
 *
 * The guest's memory is the creator's memory: what is mapped there, and how,
 * may change at any time and the guest follows. A guest access that the address
 * space does not allow exits with VHM_EXIT_MEMORY_FAULT. Memory of a device that the
 * creator has mapped is its memory, too; the guest's accesses are not cached, whatever
 * its own page tables say.
 *
 * VHM_SLOT_REMOVE looks at @id only; @gpa, @bytes and @user_address are zero.
 *
 * Errors: EEXIST the id is in use, or the range overlaps another slot's or has the
 * local APIC's page at 0xfee00000 in it; ENOENT no such slot; EPERM not the creator's
 * address space; ENOMEM.
 */
struct vhm_slot {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 reserved;
	__u64 gpa;
	__u64 bytes;
	__u64 user_address;
};

/**
 * struct vhm_slot_edits - VHM_SLOT_EDIT: several changes of guest memory at once
 * @size: size of this struct, bytes
 * @flags: zero
 * @count: elements of @slots, not zero, at most twice vhm_info.max_slots
 * @reserved: zero
 * @slots: user pointer to an array of struct vhm_slot, each with its @size. @bytes zero: slot @id
 *	goes, all else is zero; otherwise it comes, as with VHM_SLOT_ADD
 *
 * Those that go make room for those that come, in whatever order they stand: a slot is moved or
 * replaced by naming its id twice. All is done or nothing. vCPUs run on meanwhile and find either
 * all of the old or all of the new memory, and when the call returns the new alone.
 *
 * Errors: as VHM_SLOT_ADD and VHM_SLOT_REMOVE.
 */
struct vhm_slot_edits {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 reserved;
	__u64 slots;
};

/**
 * struct vhm_msi - VHM_VM_MSI: deliver a message-signalled interrupt
 * @size: size of this struct, bytes
 * @data: data of the message (SDM vol. 3, 10.11.2, Message Data Register Format)
 * @address: address of the message (10.11.1, Message Address Register Format),
 *	0xfee00000-0xfeefffff; bits 63-40 hold destination bits 31-8 for x2APIC ids
 *	above 255
 *
 * Returns the number of local APICs that accepted it, 0 if it went to none.
 * Callable by any process that holds the descriptor.
 */
struct vhm_msi {
	__u32 size;
	__u32 data;
	__u64 address;
};

/**
 * enum vhm_populate_flag - flags of VHM_VM_POPULATE
 * @VHM_POPULATE_WRITE: as a guest's writes would, except in a slot with VHM_SLOT_READONLY;
 *	without it as its reads would, which make the host copy and allocate nothing: pages of
 *	zeros and pages shared copy-on-write stay so until the guest writes
 */
enum vhm_populate_flag {
	VHM_POPULATE_WRITE	= 1 << 0,
};

/**
 * struct vhm_populate - VHM_VM_POPULATE: map guest memory before the guest touches it
 * @size: size of this struct, bytes
 * @flags: bits of enum vhm_populate_flag
 * @gpa: guest-physical address of the first byte, page aligned; out: where it stopped
 * @bytes: whole pages, not zero; may span slots; out: what is left of them, 0 when all is done
 *
 * The guest then accesses the range without an EPT violation, as long as the host leaves the
 * pages where they are: nothing is pinned. Code in large pages is an exception on processors
 * that must not execute from them (iTLB multihit). May be called while vCPUs run and before
 * there are any.
 *
 * After an error @gpa is the page that has it, and @bytes what is left from there on: after
 * EINTR the same call goes on. Each call that a signal finds running has done a page or more,
 * unless the host was changing that very memory, or a userfaultfd has it. Pages that
 * VHM_VM_SET_RIGHTS keeps from the guest are passed over.
 *
 * Errors: ENOENT no slot is at @gpa; EFAULT the creator's address space has nothing there or
 * does not permit it; EHWPOISON broken memory; ENOMEM; EINTR a signal is pending.
 */
struct vhm_populate {
	__u32 size;
	__u32 flags;
	__u64 gpa;
	__u64 bytes;
};

/**
 * struct vhm_mapped - VHM_VM_GET_MAPPED: what of guest memory is mapped now, at which size
 * @size: size of this struct, bytes
 * @flags: zero
 * @gpa: guest-physical address of the first byte, page aligned
 * @bytes: whole pages, not zero
 * @entries: out: EPT entries of 4 KiB, 2 MiB and 1 GiB that map the range or a part of it
 * @tables: out: pages that hold EPT entries, of the whole VM
 *
 * A snapshot, and of a large range one taken piece by piece: guest and host go on mapping and
 * unmapping. The page of a local APIC is not counted. Callable by any process that holds the
 * descriptor.
 */
struct vhm_mapped {
	__u32 size;
	__u32 flags;
	__u64 gpa;
	__u64 bytes;
	__u64 entries[3];
	__u64 tables;
};

/**
 * enum vhm_right - bits of vhm_rights.rights
 * @VHM_RIGHT_READ: the guest may read
 * @VHM_RIGHT_WRITE: the guest may write; not without VHM_RIGHT_READ
 * @VHM_RIGHT_EXECUTE: the guest may execute; without VHM_RIGHT_READ only with
 *	VHM_FEATURE_EXECUTE_ONLY
 */
enum vhm_right {
	VHM_RIGHT_READ		= 1 << 0,
	VHM_RIGHT_WRITE	= 1 << 1,
	VHM_RIGHT_EXECUTE	= 1 << 2,
};

/**
 * struct vhm_rights - VHM_VM_SET_RIGHTS: what the guest may do with a range of its memory
 * @size: size of this struct, bytes
 * @flags: zero
 * @rights: bits of enum vhm_right; all of them, as at the beginning: no restriction
 * @reserved: zero
 * @gpa: guest-physical address of the first byte, page aligned
 * @bytes: whole pages, not zero; need not be in slots
 *
 * Takes rights away from those that slot and host give, on the pages whatever slots they are in,
 * now and later. An access that is denied exits with VHM_EXIT_DENIED. When the call returns, no
 * vCPU can make such an access any more. The processor's walks of the guest's page tables are
 * accesses, too. Access by this kernel (paravirtual pages) and by the VMM is not restricted.
 *
 * Errors: EINVAL also writing without reading; EOPNOTSUPP executing without
 * reading; ENOSPC more than 65536 ranges; ENOMEM.
 * Callable by any process that holds the descriptor.
 */
struct vhm_rights {
	__u32 size;
	__u32 flags;
	__u32 rights;
	__u32 reserved;
	__u64 gpa;
	__u64 bytes;
};

/**
 * struct vhm_tracker_create - VHM_TRACKER_CREATE: track the guest's writes, return a descriptor
 * @size: size of this struct, bytes
 * @flags: zero
 *
 * The tracker tells by VHM_TRACKER_HARVEST which pages of guest memory, in any slot, were written
 * since it was created or last harvested. A VM may have any number of them; each tells everything,
 * whatever the others were told. vCPUs run on meanwhile. Closing the descriptor ends it.
 *
 * Written is what a vCPU of the guest wrote, what this kernel wrote for it (paravirtual pages), and
 * what VHM_VM_NOTE_WRITTEN says. A page may be told of that was merely about to be written; the
 * processor's own accesses to page tables of the guest may count as writes. Not told of is what
 * the VMM writes to its memory itself, and what changes because a slot or the memory behind it is
 * replaced. Pages stay to be told of if their slot is removed.
 *
 * Large pages are mapped as small ones where they are written while there are trackers, and as
 * large ones again afterwards. A tracker takes 1 KiB of kernel memory for each 16 MiB of slots.
 *
 * Errors: EMFILE; ENOMEM; EINTR a signal kills the thread. Callable by any process that holds the
 * descriptor.
 */
struct vhm_tracker_create {
	__u32 size;
	__u32 flags;
};

/**
 * enum vhm_harvest_flag - flags of VHM_TRACKER_HARVEST
 * @VHM_HARVEST_LIST: give page numbers, not a bitmap
 */
enum vhm_harvest_flag {
	VHM_HARVEST_LIST	= 1 << 0,
};

/**
 * struct vhm_harvest - VHM_TRACKER_HARVEST: the pages written since the last time
 * @size: size of this struct, bytes
 * @flags: bits of enum vhm_harvest_flag
 * @gpa: guest-physical address of the first byte, a multiple of 256 KiB (64 pages); out: where it
 *	stopped
 * @bytes: whole pages, not zero; need not be in slots; out: what is left of them, 0 when all is
 *	done
 * @data: user pointer to __u64, aligned to 8 bytes. A bitmap: bit n % 64 of element n / 64 is set
 *	for page n after @gpa if it was written, and left as it is otherwise; only elements with
 *	such pages are accessed. A list: the page numbers (gpa / 4096), ascending
 * @room: a list: elements there are, 64 or more; a bitmap: zero
 * @pages: out: pages told of
 *
 * Pages that it tells of are forgotten by this tracker; those outside the range are not. It tells
 * of all that was written before the call: read the memory afterwards, and what is written
 * meanwhile will be told of next time. A list that is full ends the call with @bytes not zero:
 * call again with what is left. After EFAULT the pages from @gpa on are still to be told of.
 *
 * The cost follows from the number of pages written. Errors: EFAULT; EINTR a signal kills the
 * thread. Callable by any process that holds the descriptor.
 */
struct vhm_harvest {
	__u32 size;
	__u32 flags;
	__u64 gpa;
	__u64 bytes;
	__u64 data;
	__u64 room;
	__u64 pages;
};

/**
 * struct vhm_written - VHM_VM_NOTE_WRITTEN: the VMM wrote to guest memory
 * @size: size of this struct, bytes
 * @flags: zero
 * @gpa: guest-physical address of the first byte
 * @bytes: how many, not zero, at most VHM_MAX_WRITTEN_BYTES
 *
 * For trackers the guest wrote it. To be called after the write. Without trackers it does nothing.
 * Callable by any process that holds the descriptor.
 */
struct vhm_written {
	__u32 size;
	__u32 flags;
	__u64 gpa;
	__u64 bytes;
};

#define VHM_MAX_WRITTEN_BYTES	(1ull << 30)

/* ------------------------------------------------------------------ vCPU -- */

/**
 * struct vhm_registers - general registers; section VHM_SECTION_REGISTERS
 * @rax: RAX; this and the next fifteen stand in the encoding order of the instruction set
 * @rcx: RCX
 * @rdx: RDX
 * @rbx: RBX
 * @rsp: RSP
 * @rbp: RBP
 * @rsi: RSI
 * @rdi: RDI
 * @r8: R8
 * @r9: R9
 * @r10: R10
 * @r11: R11
 * @r12: R12
 * @r13: R13
 * @r14: R14
 * @r15: R15
 * @rip: RIP
 * @rflags: RFLAGS
 */
struct vhm_registers {
	__u64 rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
	__u64 r8, r9, r10, r11, r12, r13, r14, r15;
	__u64 rip, rflags;
};

/**
 * struct vhm_event - an exception to inject, or one that was intercepted
 * @flags: VHM_EVENT_VALID, VHM_EVENT_HAS_ERROR_CODE, VHM_EVENT_HAS_PAYLOAD
 * @vector: 0-31, not 2 (see VHM_VCPU_NMI), not 21 (no guest has CET)
 * @error_code: pushed on the guest's stack with VHM_EVENT_HAS_ERROR_CODE
 * @reserved: zero
 * @payload: with VHM_EVENT_HAS_PAYLOAD: CR2 of a #PF, or the bits a #DB sets in DR6; a #DB
 *	without is INT1, which sets none. It is a trap, as INT3 and INTO are: RIP is at the
 *	instruction, and the guest's handler finds it behind
 */
struct vhm_event {
	__u32 flags;
	__u32 vector;
	__u32 error_code;
	__u32 reserved;
	__u64 payload;
};

#define VHM_EVENT_VALID			(1u << 0)
#define VHM_EVENT_HAS_ERROR_CODE	(1u << 1)
#define VHM_EVENT_HAS_PAYLOAD		(1u << 2)

/**
 * enum vhm_exit_reason - why VHM_VCPU_RUN came back (vhm_run.exit_reason)
 * @VHM_EXIT_NONE: the vCPU has not run
 * @VHM_EXIT_INTERRUPTED: a signal is pending; VHM_VCPU_RUN failed with EINTR
 * @VHM_EXIT_KICKED: VHM_VCPU_KICK was called, or VHM_RUN_RETURN requested
 * @VHM_EXIT_IO: port access, see vhm_run.io
 * @VHM_EXIT_MMIO: access to guest-physical memory of no slot, or a write to a
 *	read-only one, see vhm_run.mmio
 * @VHM_EXIT_MSR: MSR access, see vhm_run.msr
 * @VHM_EXIT_HLT: HLT, on a VM with VHM_VM_EXIT_HLT
 * @VHM_EXIT_HYPERCALL: VMCALL, on a VM with VHM_VM_EXIT_HYPERCALL
 * @VHM_EXIT_SHUTDOWN: triple fault
 * @VHM_EXIT_TASK_SWITCH: hardware task switch, which is not emulated
 * @VHM_EXIT_EXCEPTION: an exception, a breakpoint or a single step that the VMM asked for
 *	(VHM_VCPU_SET_CONTROL), see vhm_run.exception. Also the #AC of a split lock where the
 *	host's policy forbids them
 * @VHM_EXIT_IRQ_WINDOW: the guest can take an external interrupt now
 *	(VHM_RUN_IRQ_WINDOW was requested)
 * @VHM_EXIT_EOI: end of interrupt for a level-triggered vector, see vhm_run.eoi
 * @VHM_EXIT_MEMORY_FAULT: the host could not give the page of a slot, see
 *	vhm_run.memory_fault
 * @VHM_EXIT_ENTRY_FAILED: the processor refused the guest's state, see
 *	vhm_run.entry_failed
 * @VHM_EXIT_UNHANDLED: an exit nothing handles; vhm_run.hardware_reason tells. Also an
 *	access to no slot by the delivery of an event, which no instruction made
 * @VHM_EXIT_RESET: a guest's INIT on the bootstrap processor
 * @VHM_EXIT_DEADLINE: the host's TSC has reached vhm_run.deadline_tsc
 * @VHM_EXIT_DENIED: an access that VHM_VM_SET_RIGHTS does not allow, see vhm_run.mmio. The
 *	instruction, at vhm_run.regs.rip, has not been executed, and runs again if the VMM does
 *	nothing else
 */
enum vhm_exit_reason {
	VHM_EXIT_NONE,
	VHM_EXIT_INTERRUPTED,
	VHM_EXIT_KICKED,
	VHM_EXIT_IO,
	VHM_EXIT_MMIO,
	VHM_EXIT_MSR,
	VHM_EXIT_HLT,
	VHM_EXIT_HYPERCALL,
	VHM_EXIT_SHUTDOWN,
	VHM_EXIT_TASK_SWITCH,
	VHM_EXIT_EXCEPTION,
	VHM_EXIT_IRQ_WINDOW,
	VHM_EXIT_EOI,
	VHM_EXIT_MEMORY_FAULT,
	VHM_EXIT_ENTRY_FAILED,
	VHM_EXIT_UNHANDLED,
	VHM_EXIT_RESET,
	VHM_EXIT_DEADLINE,
	VHM_EXIT_DENIED,
};

/**
 * struct vhm_exit_io - VHM_EXIT_IO
 * @port: port number
 * @bytes: 1, 2 or 4
 * @flags: VHM_IO_IN (else OUT), VHM_IO_STRING (INS, OUTS), VHM_IO_REP, VHM_IO_ADDRESS_16,
 *	VHM_IO_ADDRESS_32 (address size of a string instruction, else 64)
 * @data: OUT without VHM_IO_STRING: the value
 * @segment: string: segment number of the operand, as in struct vhm_sregisters
 * @reserved: zero
 * @linear_address: string: guest-linear address of the first element
 *
 * IN is completed by placing the value into regs.rax, keeping the bits the
 * instruction does not write, and setting VHM_RUN_SET_REGISTERS.
 */
struct vhm_exit_io {
	__u16 port;
	__u8 bytes;
	__u8 flags;
	__u32 data;
	__u32 segment;
	__u32 reserved;
	__u64 linear_address;
};

#define VHM_IO_IN		(1u << 0)
#define VHM_IO_STRING		(1u << 1)
#define VHM_IO_REP		(1u << 2)
#define VHM_IO_ADDRESS_16	(1u << 3)
#define VHM_IO_ADDRESS_32	(1u << 4)

/**
 * struct vhm_exit_mmio - VHM_EXIT_MMIO
 * @gpa: guest-physical address, bytes
 * @linear_address: guest-linear address, with VHM_MMIO_LINEAR_VALID
 * @flags: VHM_MMIO_READ, _WRITE, _FETCH: the kinds of the access;
 *	VHM_MMIO_WALK: by the guest's page-table walk, not by the operand;
 *	VHM_MMIO_APIC: of the local APIC's page: complete with VHM_VCPU_APIC_ACCESS
 * @cpl: privilege level of the access, 0-3
 * @cs_base: base of CS, for fetching the instruction
 * @cs_access_rights: as vhm_segment.access_rights
 * @reserved: zero
 * @cr0: control registers for fetching the instruction through the guest's page
 *	tables
 * @cr3: see @cr0
 * @cr4: see @cr0
 * @efer: see @cr0
 *
 * The kernel does not decode instructions. The VMM fetches and decodes the one
 * at regs.rip, performs it, writes its results to regs and sets
 * VHM_RUN_SET_REGISTERS and retire_bytes.
 */
struct vhm_exit_mmio {
	__u64 gpa;
	__u64 linear_address;
	__u32 flags;
	__u32 cpl;
	__u64 cs_base;
	__u32 cs_access_rights;
	__u32 reserved;
	__u64 cr0;
	__u64 cr3;
	__u64 cr4;
	__u64 efer;
};

#define VHM_MMIO_READ		(1u << 0)
#define VHM_MMIO_WRITE		(1u << 1)
#define VHM_MMIO_FETCH		(1u << 2)
#define VHM_MMIO_LINEAR_VALID	(1u << 3)
#define VHM_MMIO_WALK		(1u << 4)
#define VHM_MMIO_APIC		(1u << 5)

/**
 * struct vhm_exit_msr - VHM_EXIT_MSR
 * @index: number of the MSR
 * @flags: VHM_MSR_WRITE (else read)
 * @value: written value
 *
 * Complete a read by placing the value into the low halves of regs.rax and
 * regs.rdx; refuse either by injecting #GP(0) with retire_bytes 0.
 */
struct vhm_exit_msr {
	__u32 index;
	__u32 flags;
	__u64 value;
};

#define VHM_MSR_WRITE		(1u << 0)

/**
 * struct vhm_exit_eoi - VHM_EXIT_EOI
 * @vector: vector whose service ended
 * @reserved: zero
 */
struct vhm_exit_eoi {
	__u32 vector;
	__u32 reserved;
};

/**
 * struct vhm_exit_memory_fault - VHM_EXIT_MEMORY_FAULT
 * @gpa: guest-physical address, bytes
 * @flags: VHM_MMIO_READ, _WRITE, _FETCH
 * @error: errno of the host's fault: EFAULT nothing mapped or not permitted,
 *	EHWPOISON broken memory, ENOMEM
 */
struct vhm_exit_memory_fault {
	__u64 gpa;
	__u32 flags;
	__u32 error;
};

/**
 * enum vhm_entry_failure - vhm_exit_entry_failed.kind
 * @VHM_ENTRY_FAILURE_INSTRUCTION: VMLAUNCH or VMRESUME failed; @code is the
 *	VM-instruction error (SDM vol. 3, 31.4, VM Instruction Error Numbers)
 * @VHM_ENTRY_FAILURE_GUEST_STATE: invalid guest state; @code is the exit
 *	qualification (27.8, VM-Entry Failures During or After Loading Guest State)
 * @VHM_ENTRY_FAILURE_MSR_LOADING: @code is the number of the MSR's entry
 * @VHM_ENTRY_FAILURE_MACHINE_CHECK: a machine check during entry
 */
enum vhm_entry_failure {
	VHM_ENTRY_FAILURE_INSTRUCTION = 1,
	VHM_ENTRY_FAILURE_GUEST_STATE,
	VHM_ENTRY_FAILURE_MSR_LOADING,
	VHM_ENTRY_FAILURE_MACHINE_CHECK,
};

/**
 * struct vhm_exit_entry_failed - VHM_EXIT_ENTRY_FAILED
 * @kind: of enum vhm_entry_failure
 * @reserved: zero
 * @code: see there
 */
struct vhm_exit_entry_failed {
	__u32 kind;
	__u32 reserved;
	__u64 code;
};

/**
 * enum vhm_run_request - bits of vhm_run.request
 * @VHM_RUN_SET_REGISTERS: load the guest's registers from vhm_run.regs
 * @VHM_RUN_RETURN: come back with VHM_EXIT_KICKED before entering the guest,
 *	once all other requests are carried out
 * @VHM_RUN_IRQ_WINDOW: come back with VHM_EXIT_IRQ_WINDOW as soon as the guest can
 *	take an external interrupt
 * @VHM_RUN_INTERRUPT: deliver vhm_run.interrupt_vector as an external
 *	interrupt (ExtINT, from a PIC); EBUSY if the guest cannot take one now
 */
enum vhm_run_request {
	VHM_RUN_SET_REGISTERS	= 1 << 0,
	VHM_RUN_RETURN		= 1 << 1,
	VHM_RUN_IRQ_WINDOW	= 1 << 2,
	VHM_RUN_INTERRUPT	= 1 << 3,
};

/**
 * struct vhm_run - the run page: mmap() of a vCPU descriptor at offset 0
 * @request: in: bits of enum vhm_run_request
 * @retire_bytes: in: 0, or length of the instruction that the last exit left
 *	unfinished: the guest goes on behind it, its interrupt shadow ends and its
 *	single-step trap is taken as if the processor had executed it
 * @inject: in: an exception the guest receives before its next instruction
 * @interrupt_vector: in: for VHM_RUN_INTERRUPT
 * @exit_reason: out: of enum vhm_exit_reason
 * @insn_bytes: out: length of the instruction that caused the exit where the
 *	processor tells it (I/O, MSR, HLT, VMCALL, INT3, INTO, INT1), else 0
 * @irq_window: out: 1 if the guest can take an external interrupt now
 * @hardware_reason: out: exit reason of the processor (SDM vol. 3, appendix C)
 * @reserved: zero
 * @deadline_tsc: in: value of the host's TSC at which VHM_VCPU_RUN comes back with
 *	VHM_EXIT_DEADLINE, guest halted or not; 0: none. It stays until it is changed; the TSC
 *	may begin anew over a suspend of the host
 * @hardware_qualification: out: its exit qualification
 * @regs: out: the guest's registers; in: with VHM_RUN_SET_REGISTERS
 * @io: VHM_EXIT_IO
 * @mmio: VHM_EXIT_MMIO, VHM_EXIT_DENIED
 * @msr: VHM_EXIT_MSR
 * @eoi: VHM_EXIT_EOI
 * @exception: VHM_EXIT_EXCEPTION
 * @memory_fault: VHM_EXIT_MEMORY_FAULT
 * @entry_failed: VHM_EXIT_ENTRY_FAILED
 * @exit_data: room for exits to come
 *
 * VHM_VCPU_RUN reads the "in" fields once, clears @request, @retire_bytes and
 * @inject.flags, runs the guest, and writes the "out" fields before it returns.
 * An exit leaves the guest at the instruction that caused it: state read at this
 * point and loaded elsewhere executes it again. The kernel trusts nothing here.
 */
struct vhm_run {
	__u32 request;
	__u32 retire_bytes;
	struct vhm_event inject;
	__u32 interrupt_vector;
	__u32 exit_reason;
	__u32 insn_bytes;
	__u32 irq_window;
	__u32 hardware_reason;
	__u32 reserved;
	__u64 deadline_tsc;
	__u64 hardware_qualification;
	struct vhm_registers regs;
	union {
		struct vhm_exit_io io;
		struct vhm_exit_mmio mmio;
		struct vhm_exit_msr msr;
		struct vhm_exit_eoi eoi;
		struct vhm_event exception;
		struct vhm_exit_memory_fault memory_fault;
		struct vhm_exit_entry_failed entry_failed;
		__u64 exit_data[32];
	};
};

/**
 * struct vhm_nmi - VHM_VCPU_NMI: make a non-maskable interrupt pending
 * @size: size of this struct, bytes
 * @flags: zero
 */
struct vhm_nmi {
	__u32 size;
	__u32 flags;
};

/**
 * struct vhm_apic_access - VHM_VCPU_APIC_ACCESS: one access to the local APIC
 * @size: size of this struct, bytes
 * @flags: VHM_APIC_WRITE (else read)
 * @offset: offset of the register in the APIC's page, bytes, multiple of 16
 * @value: written value; out: read value
 *
 * Completes a VHM_EXIT_MMIO with VHM_MMIO_APIC after the VMM decoded it.
 */
struct vhm_apic_access {
	__u32 size;
	__u32 flags;
	__u32 offset;
	__u32 value;
};

#define VHM_APIC_WRITE		(1u << 0)

/**
 * enum vhm_stat - index into vhm_stats.count
 * @VHM_STAT_EXITS: VM exits in all
 * @VHM_STAT_USER_EXITS: returns of VHM_VCPU_RUN
 * @VHM_STAT_EXIT_INTERRUPT: external interrupts of the host
 * @VHM_STAT_EXIT_NMI: NMIs of the host and exceptions
 * @VHM_STAT_EXIT_IRQ_WINDOW: interrupt and NMI windows
 * @VHM_STAT_EXIT_CPUID: CPUID
 * @VHM_STAT_EXIT_HLT: HLT
 * @VHM_STAT_EXIT_IO: port access
 * @VHM_STAT_EXIT_MSR: RDMSR, WRMSR
 * @VHM_STAT_EXIT_CR: control registers, XSETBV
 * @VHM_STAT_EXIT_EPT: EPT violations and misconfigurations
 * @VHM_STAT_EXIT_APIC: APIC accesses, writes, EOIs and TPR thresholds
 * @VHM_STAT_EXIT_HYPERCALL: VMCALL
 * @VHM_STAT_EXIT_PREEMPTION_TIMER: VMX-preemption timer
 * @VHM_STAT_EXIT_PAUSE: loops of PAUSE, which wait for another vCPU
 * @VHM_STAT_EXIT_OTHER: all others
 * @VHM_STAT_PAGES_MAPPED: EPT entries installed
 * @VHM_STAT_INJECTED_INTERRUPTS: external interrupts injected
 * @VHM_STAT_INJECTED_EXCEPTIONS: exceptions and NMIs injected
 * @VHM_STAT_TLB_FLUSHES: INVEPT and INVVPID executed
 * @VHM_STAT_HALT_NS: time slept in HLT, ns
 * @VHM_STAT_PAGES_MAPPED_2M: those of VHM_STAT_PAGES_MAPPED that map 2 MiB
 * @VHM_STAT_PAGES_MAPPED_1G: those that map 1 GiB
 * @VHM_STAT_COUNT: number of counters of this version
 */
enum vhm_stat {
	VHM_STAT_EXITS,
	VHM_STAT_USER_EXITS,
	VHM_STAT_EXIT_INTERRUPT,
	VHM_STAT_EXIT_NMI,
	VHM_STAT_EXIT_IRQ_WINDOW,
	VHM_STAT_EXIT_CPUID,
	VHM_STAT_EXIT_HLT,
	VHM_STAT_EXIT_IO,
	VHM_STAT_EXIT_MSR,
	VHM_STAT_EXIT_CR,
	VHM_STAT_EXIT_EPT,
	VHM_STAT_EXIT_APIC,
	VHM_STAT_EXIT_HYPERCALL,
	VHM_STAT_EXIT_PREEMPTION_TIMER,
	VHM_STAT_EXIT_PAUSE,
	VHM_STAT_EXIT_OTHER,
	VHM_STAT_PAGES_MAPPED,
	VHM_STAT_INJECTED_INTERRUPTS,
	VHM_STAT_INJECTED_EXCEPTIONS,
	VHM_STAT_TLB_FLUSHES,
	VHM_STAT_HALT_NS,
	VHM_STAT_PAGES_MAPPED_2M,
	VHM_STAT_PAGES_MAPPED_1G,
	VHM_STAT_COUNT,
};

/**
 * struct vhm_stats - VHM_VCPU_GET_STATS: counters of a vCPU since its creation
 * @size: size of this struct, bytes
 * @flags: zero
 * @count: out: indexed by enum vhm_stat
 */
struct vhm_stats {
	__u32 size;
	__u32 flags;
	__u64 count[32];
};

/**
 * enum vhm_control_flag - bits of vhm_vcpu_control.flags
 * @VHM_CONTROL_SINGLE_STEP: VHM_EXIT_EXCEPTION with vector 1 and payload bit 14 (BS) after each
 *	instruction, or in front of the first one of a handler if the guest took an exception
 *	instead. Interrupts and NMIs wait as long as the guest steps, but for one that ends a HLT
 * @VHM_CONTROL_BREAKPOINTS: @breakpoint and @dr7 of struct vhm_vcpu_control are in force instead
 *	of the guest's debug registers. A hit is VHM_EXIT_EXCEPTION with vector 1 and its bits 0-3
 *	in the payload, RIP where a #DB would have it (SDM vol. 3, table 17-2): in front of the
 *	instruction for one on execution, which goes on with RFLAGS.RF set, else behind it. The
 *	guest reads back what it wrote to its registers, and has none of its breakpoints. What the
 *	VMM performs for it (ports, devices) hits none
 */
enum vhm_control_flag {
	VHM_CONTROL_SINGLE_STEP	= 1 << 0,
	VHM_CONTROL_BREAKPOINTS	= 1 << 1,
};

/**
 * struct vhm_vcpu_control - VHM_VCPU_SET_CONTROL: what of the guest comes to the VMM
 * @size: size of this struct, bytes
 * @flags: bits of enum vhm_control_flag
 * @exceptions: bit n: an exception with vector n exits with VHM_EXIT_EXCEPTION before the guest
 *	gets it, whatever its error code; not 2 (NMI) and 18 (#MC), which are the host's
 * @reserved: zero
 * @breakpoint: DR0-DR3; zero without VHM_CONTROL_BREAKPOINTS
 * @dr7: DR7, bits 0-10 and 16-31; zero without VHM_CONTROL_BREAKPOINTS
 *
 * Replaces what was set before; all zeros, as a vCPU begins, give everything to the guest. It is
 * the VMM's, and in no state section; it stays across INIT and reset.
 *
 * At the exit nothing of the exception has happened: RIP is where the processor would push it
 * from, CR2 and DR6 are as before. To let the guest have it after all, copy vhm_run.exception to
 * vhm_run.inject, RIP unchanged. An event whose delivery led to it is delivered again if nothing
 * is injected.
 *
 * Errors: EBUSY the vCPU is running; EOPNOTSUPP VHM_CONTROL_SINGLE_STEP on a processor without
 * monitor trap flag.
 */
struct vhm_vcpu_control {
	__u32 size;
	__u32 flags;
	__u32 exceptions;
	__u32 reserved;
	__u64 breakpoint[4];
	__u64 dr7;
};

/* ----------------------------------------------------------------- state -- */

/**
 * struct vhm_state - VHM_VCPU_GET_STATE, VHM_VCPU_SET_STATE: state as sections
 * @size: size of this struct, bytes
 * @flags: zero
 * @sections: VHM_VCPU_GET_STATE: bit n asks for the section of type n, 0 for
 *	all; VHM_VCPU_SET_STATE: zero
 * @buffer: user pointer, 8-byte aligned
 * @buffer_bytes: its size; VHM_VCPU_GET_STATE: out: bytes written, or with ENOSPC
 *	bytes needed
 *
 * The buffer holds sections one after another, each a struct vhm_section and
 * its payload, padded to 8 bytes. VHM_VCPU_SET_STATE checks all sections before it
 * loads the first, in the order they stand; a section that is absent leaves its
 * state alone. What only the processor can judge (values in MSRS) may still be
 * refused with EINVAL when sections before it are loaded.
 *
 * Errors: EINVAL malformed section or impossible value; EOPNOTSUPP unknown type or
 * version; EBUSY the vCPU is running; ENOSPC.
 */
struct vhm_state {
	__u32 size;
	__u32 flags;
	__u64 sections;
	__u64 buffer;
	__u64 buffer_bytes;
};

/**
 * struct vhm_section - head of a state section
 * @type: of enum vhm_section_type
 * @version: version of the payload, 1 today
 * @bytes: size of the payload, without this head and without padding
 * @reserved: zero
 */
struct vhm_section {
	__u32 type;
	__u32 version;
	__u32 bytes;
	__u32 reserved;
};

/**
 * enum vhm_section_type - types of state section
 * @VHM_SECTION_REGISTERS: struct vhm_registers
 * @VHM_SECTION_SREGISTERS: struct vhm_sregisters
 * @VHM_SECTION_XSAVE: XSAVE area in the standard format (SDM vol. 1, 13.4, XSAVE
 *	Area), as large as the host's
 * @VHM_SECTION_XCR: struct vhm_xcr
 * @VHM_SECTION_DEBUG: struct vhm_debug_registers
 * @VHM_SECTION_MSRS: array of struct vhm_msr_value
 * @VHM_SECTION_EVENTS: struct vhm_events
 * @VHM_SECTION_APIC: struct vhm_apic_state
 * @VHM_SECTION_CPUID: array of struct vhm_cpuid_entry
 * @VHM_SECTION_TIME: struct vhm_time
 * @VHM_SECTION_PARAVIRT: struct vhm_paravirt
 * @VHM_SECTION_COUNT: one more than the highest type of this version
 */
enum vhm_section_type {
	VHM_SECTION_REGISTERS	= 1,
	VHM_SECTION_SREGISTERS,
	VHM_SECTION_XSAVE,
	VHM_SECTION_XCR,
	VHM_SECTION_DEBUG,
	VHM_SECTION_MSRS,
	VHM_SECTION_EVENTS,
	VHM_SECTION_APIC,
	VHM_SECTION_CPUID,
	VHM_SECTION_TIME,
	VHM_SECTION_PARAVIRT,
	VHM_SECTION_COUNT,
};

/**
 * struct vhm_segment - a segment register
 * @base: base, bytes
 * @limit: limit, bytes, after granularity
 * @access_rights: SDM vol. 3, 25.4.1, Format of Access Rights: type 3:0, S 4, DPL
 *	6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16
 * @selector: visible part
 * @reserved: zero
 */
struct vhm_segment {
	__u64 base;
	__u32 limit;
	__u32 access_rights;
	__u32 selector;
	__u32 reserved;
};

/**
 * struct vhm_descriptor_table - GDTR or IDTR
 * @base: base, bytes
 * @limit: limit, bytes
 * @reserved: zero
 */
struct vhm_descriptor_table {
	__u64 base;
	__u32 limit;
	__u32 reserved;
};

/**
 * struct vhm_sregisters - section VHM_SECTION_SREGISTERS
 * @segment: ES, CS, SS, DS, FS, GS, LDTR, TR, indexed by VHM_SEGMENT_ES and so on
 * @gdt: GDTR
 * @idt: IDTR
 * @cr0: CR0 as the guest reads it
 * @cr2: CR2
 * @cr3: CR3
 * @cr4: CR4 as the guest reads it
 * @cr8: CR8: bits 7-4 of the local APIC's TPR
 * @efer: IA32_EFER
 * @apic_base: IA32_APIC_BASE
 * @flags: VHM_SREGISTERS_PDPTE: @pdpte is valid; set on reading with PAE paging outside long
 *	mode. Loading such a mode without it takes the entries from memory, as MOV to CR3 does
 * @pdpte: PDPTE registers (SDM vol. 3, 4.4.1, PDPTE Registers)
 */
struct vhm_sregisters {
	struct vhm_segment segment[8];
	struct vhm_descriptor_table gdt, idt;
	__u64 cr0, cr2, cr3, cr4, cr8;
	__u64 efer;
	__u64 apic_base;
	__u64 flags;
	__u64 pdpte[4];
};

#define VHM_SREGISTERS_PDPTE	(1ull << 0)

#define VHM_SEGMENT_ES		0
#define VHM_SEGMENT_CS		1
#define VHM_SEGMENT_SS		2
#define VHM_SEGMENT_DS		3
#define VHM_SEGMENT_FS		4
#define VHM_SEGMENT_GS		5
#define VHM_SEGMENT_LDTR	6
#define VHM_SEGMENT_TR		7

/**
 * struct vhm_xcr - section VHM_SECTION_XCR
 * @xcr0: XCR0
 */
struct vhm_xcr {
	__u64 xcr0;
};

/**
 * struct vhm_debug_registers - section VHM_SECTION_DEBUG
 * @db: DR0-DR3
 * @dr6: DR6
 * @dr7: DR7
 */
struct vhm_debug_registers {
	__u64 db[4];
	__u64 dr6;
	__u64 dr7;
};

/**
 * struct vhm_msr_value - element of section VHM_SECTION_MSRS
 * @index: number of the MSR
 * @reserved: zero
 * @value: its value
 */
struct vhm_msr_value {
	__u32 index;
	__u32 reserved;
	__u64 value;
};

/**
 * enum vhm_run_state - vhm_events.run_state
 * @VHM_RUN_STATE_RUNNABLE: executes instructions
 * @VHM_RUN_STATE_HALTED: waits in HLT
 * @VHM_RUN_STATE_WAIT_SIPI: waits for SIPI
 * @VHM_RUN_STATE_WAIT_INIT: has not yet received INIT
 * @VHM_RUN_STATE_SHUTDOWN: after a triple fault; set VHM_RUN_STATE_RUNNABLE to go on
 */
enum vhm_run_state {
	VHM_RUN_STATE_RUNNABLE,
	VHM_RUN_STATE_HALTED,
	VHM_RUN_STATE_WAIT_SIPI,
	VHM_RUN_STATE_WAIT_INIT,
	VHM_RUN_STATE_SHUTDOWN,
};

/**
 * struct vhm_events - section VHM_SECTION_EVENTS
 * @run_state: of enum vhm_run_state
 * @interruptibility: VHM_BLOCKED_BY_STI, _MOV_SS, _NMI
 * @nmi_pending: NMIs pending, 0-2
 * @interrupt_pending: 1: @interrupt_vector was accepted but not yet delivered
 * @interrupt_vector: see there
 * @init_pending: 1: an INIT is pending
 * @sipi_pending: 1: a SIPI with @sipi_vector is pending
 * @sipi_vector: see there
 * @eoi_pending: 1: VHM_EXIT_EOI for @eoi_vector has not been reported yet
 * @eoi_vector: see there
 * @exception: an exception not yet delivered
 * @pending_debug: pending debug exceptions (SDM vol. 3, 25.4.2)
 */
struct vhm_events {
	__u32 run_state;
	__u32 interruptibility;
	__u32 nmi_pending;
	__u32 interrupt_pending;
	__u32 interrupt_vector;
	__u32 init_pending;
	__u32 sipi_pending;
	__u32 sipi_vector;
	__u32 eoi_pending;
	__u32 eoi_vector;
	struct vhm_event exception;
	__u64 pending_debug;
};

#define VHM_BLOCKED_BY_STI	(1u << 0)
#define VHM_BLOCKED_BY_MOV_SS	(1u << 1)
#define VHM_BLOCKED_BY_NMI	(1u << 3)

/**
 * struct vhm_apic_state - section VHM_SECTION_APIC
 * @registers: the registers at their offsets in the APIC's page (SDM vol. 3,
 *	table 10-1), 32 bits each, 16 bytes apart
 * @timer_deadline_tsc: IA32_TSC_DEADLINE
 * @timer_remaining_ns: one-shot and periodic: time to the next interrupt, ns
 */
struct vhm_apic_state {
	__u8 registers[1024];
	__u64 timer_deadline_tsc;
	__u64 timer_remaining_ns;
};

/**
 * struct vhm_time - section VHM_SECTION_TIME
 * @tsc: the guest's TSC when the section was read
 * @host_tsc: the host's TSC at the same moment; on load: 0 lets the guest's TSC go
 *	on from @tsc at the moment of loading, else it goes on as if it had been @tsc at that moment
 * @tsc_khz: frequency of the guest's TSC, kHz; on load: 0 leaves it as it is. One that differs from
 *	vhm_info.tsc_khz, by less than 16 times, takes VHM_FEATURE_TSC_SCALING (EOPNOTSUPP)
 * @reserved: zero
 *
 * A vCPU begins with the host's frequency, or with that of vCPU 0 if there is one. Leaves 15H and
 * 16H of CPUID tell the guest its own frequency as long as they have the crystal clock and the bus
 * frequency that VHM_GET_CPUID gives.
 */
struct vhm_time {
	__u64 tsc;
	__u64 host_tsc;
	__u32 tsc_khz;
	__u32 reserved;
};

/**
 * struct vhm_paravirt - section VHM_SECTION_PARAVIRT
 * @wall_clock: MSR_KVM_WALL_CLOCK_NEW
 * @system_time: MSR_KVM_SYSTEM_TIME_NEW
 * @steal_time: MSR_KVM_STEAL_TIME
 * @eoi: MSR_KVM_EOI_EN
 * @poll_control: MSR_KVM_POLL_CONTROL
 * @clock_tsc: a value of the guest's TSC
 * @clock_ns: what the guest's clock (kvmclock) shows at that TSC, ns
 * @clock_khz: frequency of the guest's TSC, kHz, not 0
 * @flags: VHM_PARAVIRT_UNHALTED: the next HLT ends at once (KVM_HC_KICK_CPU)
 *
 * The clock shows @clock_ns + (TSC - @clock_tsc) * 1000000 / @clock_khz. It stands still while the
 * TSC does, and VHM_SECTION_TIME moves both; a VMM that sets one of them does so for all vCPUs,
 * which else differ. A frequency that VHM_SECTION_TIME changes counts from the moment which that
 * section tells, for the clock, too. Where the TSC has another frequency than @clock_khz the clock
 * goes on from what it shows when this section is loaded, so load VHM_SECTION_TIME before; and to
 * give it to more than one vCPU, read it back from the first and load that into the others.
 */
struct vhm_paravirt {
	__u64 wall_clock;
	__u64 system_time;
	__u64 steal_time;
	__u64 eoi;
	__u64 poll_control;
	__u64 clock_tsc;
	__u64 clock_ns;
	__u32 clock_khz;
	__u32 flags;
};

#define VHM_PARAVIRT_UNHALTED	(1u << 0)

#endif /* _UAPI_LINUX_VHM_H */
