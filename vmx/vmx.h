/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMX backend: types shared by its files.
 *
 * A vCPU's VMCS is used by the thread that holds vcpu->mutex, with preemption off or
 * a preempt notifier registered, so that it is current on this CPU whenever code here
 * runs. VMX instructions are in vmx/instruction.h, all with a fault handler.
 */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include <linux/mm.h>
#include <asm/desc_defs.h>
#include <asm/fpu/api.h>
#include <asm/nospec-branch.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include <asm/vmx.h>

#include "ept/ept.h"
#include "vhm/apic.h"
#include "vhm/compat.h"
#include "caps.h"
#include "instruction.h"

/* MSRs that hold the guest's value until the thread returns to user space (vmx/switch.c) */
enum vmx_lazy_msr {
	VMX_LAZY_STAR, VMX_LAZY_LSTAR, VMX_LAZY_CSTAR, VMX_LAZY_SYSCALL_MASK, VMX_LAZY_TSC_AUX,
	VMX_LAZY_COUNT,
};

#define VMX_VARIABLE_MTRRS	8
#define VMX_MTRRS		(2 * VMX_VARIABLE_MTRRS + 11)

/**
 * struct vmx_vm - a VM of this backend
 * @base: the core's part
 * @ept: its second-level tables
 * @apic_access_page: what EPT maps at 0xfee00000 under APIC virtualization
 */
struct vmx_vm {
	struct vhm_vm base;
	struct ept ept;
	void *apic_access_page;
};

/**
 * struct vmx_exit_facts - what the processor said about the last exit
 * @reason: full exit-reason field (SDM vol. 3, 25.9.1); bit 31: entry failure
 * @qualification: exit qualification, read when a handler asks
 * @idt_vectoring: event whose delivery was interrupted
 * @qualification_read: @qualification is valid
 */
struct vmx_exit_facts {
	u32 reason, idt_vectoring;
	u64 qualification;
	bool qualification_read;
};

/**
 * struct vmx_entry_args - what the world switch reads and writes (vmx/enter.S)
 * @regs: guest's general registers
 * @host_rsp: last value written to HOST_RSP
 * @guest_spec_ctrl: guest's IA32_SPEC_CTRL
 * @host_spec_ctrl: host's at this entry
 *
 * vmx/enter.S knows the offsets; vmx/run.c checks them at build time.
 */
struct vmx_entry_args {
	struct vhm_registers *regs;
	u64 host_rsp;
	u64 guest_spec_ctrl, host_spec_ctrl;
};

/**
 * struct vmx_host_state - what of the host is displaced while a guest is loaded
 * @cpu: CPU whose host-state fields the VMCS has, -1 for none
 * @loaded: the rest is valid, the guest's kernel GS base is in the processor
 * @fs_base: the thread's user-space FS base, last value written to HOST_FS_BASE
 * @kernel_gs_base: the thread's user-space GS base
 * @gdt: base as in the VMCS, and the limit that an exit does not load
 * @fs_selector: FS of the thread's user mode
 * @gs_selector: GS
 * @ds_selector: DS
 * @es_selector: ES
 * @ldt_selector: LDTR
 * @cr3: last value written to HOST_CR3
 * @cr4: last value written to HOST_CR4
 * @debugctl: IA32_DEBUGCTL, which an exit clears
 * @pkru: the thread's PKRU
 * @perf_msr_count: entries of @perf_msrs
 * @perf_msrs: what perf wants switched around the guest, of this entry
 */
struct vmx_host_state {
	int cpu;
	bool loaded;
	u64 fs_base, kernel_gs_base;
	struct desc_ptr gdt;
	u16 fs_selector, gs_selector, ds_selector, es_selector, ldt_selector;
	unsigned long cr3, cr4, debugctl;
	u32 pkru;
	int perf_msr_count;
	struct perf_guest_switch_msr *perf_msrs;
};

extern u64 vmx_host_xcr0;

/**
 * struct vmx_vcpu - a vCPU of this backend
 * @base: the core's part
 * @vmcs: its VMCS, one page
 * @loaded_link: in the list of VMCSs active on @base.cpu, interrupts off there
 * @launched: VMRESUME, not VMLAUNCH
 * @msr_bitmap: one page
 * @vpid: 0: none
 * @vpid_stale: INVVPID before the next entry
 * @share: of the tables' lock
 * @ept_pointer: as in the VMCS
 * @write_log: one page of page-modification log; NULL: the processor has none
 * @ept_generation: of the tables, at this vCPU's last INVEPT on @host.cpu; 0: INVEPT before the
 *	next entry
 * @args: for vmx_enter()
 * @facts: of the last exit
 * @host: displaced host state
 * @fpu: guest's FPU state, in the registers during VHM_VCPU_RUN
 * @xcr0: guest's XCR0
 * @xfd: guest's IA32_XFD
 * @xfd_err: guest's IA32_XFD_ERR while the host runs
 * @pkru: guest's PKRU while the host's is loaded
 * @cr0_shadow: CR0 as the guest reads it
 * @cr4_shadow: CR4 as the guest reads it, where it does not own the bit
 * @cr4_owned: CR4 bits the guest changes without an exit
 * @cr4_allowed: CR4 bits its CPUID allows
 * @cr2: guest's CR2 while the host runs
 * @db: DR0-DR3 while the host runs
 * @dr6: DR6 while the host runs
 * @debug_live: the debug registers are loaded at each entry; MOV DR does not exit, as a rule
 * @control: what the VMM asked for (vmx/debug.c)
 * @dr7: the guest's DR7 while the VMM's breakpoints are in force
 * @lazy_msrs: guest's values of enum vmx_lazy_msr
 * @lazy_live: bits of them: the guest can use it
 * @kernel_gs_base: guest's while the host's is loaded
 * @mtrrs: MTRRs, of which nothing follows; see vmx/msr.c
 * @mtrr_def_type: IA32_MTRR_DEF_TYPE, likewise
 * @mcg_status: IA32_MCG_STATUS, likewise
 * @spec_ctrl_passthrough: the guest uses IA32_SPEC_CTRL, reads and writes do not exit
 * @misc_enable: IA32_MISC_ENABLE
 * @tsc_khz: frequency of the guest's TSC
 * @tsc_multiplier: see vhm/tsc.h
 * @tsc_offset: guest's TSC minus vhm_host_tsc(), scaled
 * @tsc_lost: vhm_tsc_lost when the VMCS got its offset
 * @tsc_adjust: IA32_TSC_ADJUST
 * @preemption_timer: last value written to the VMCS
 * @armed_tsc: without a preemption timer: what base.wake_timer is set to
 * @parked: as @injected: an acknowledged external interrupt that waits for its turn
 * @injected: VM-entry interruption information for the next entry, 0 if none
 * @injected_error: its error code
 * @injected_length: instruction length for software events
 * @exception: exception to inject when @injected is free
 * @eoi_exit_bitmap: last written
 * @pin: controls as in the VMCS
 * @primary: controls as in the VMCS
 * @secondary: controls as in the VMCS
 * @l1d_flush: the L1 data cache must be flushed before the next entry (cond mode)
 * @rip_read: base.regs.rip is the guest's; else read it from the VMCS
 * @rip_dirty: base.regs.rip must be written to the VMCS
 * @rflags_read: likewise
 * @rflags_dirty: likewise
 */
struct vmx_vcpu {
	struct vhm_vcpu base;
	void *vmcs;
	struct list_head loaded_link;
	bool launched;
	unsigned long *msr_bitmap;
	u16 vpid;
	bool vpid_stale;
	struct ept_share *share;
	u64 ept_pointer;
	u64 *write_log;
	u64 ept_generation;
	struct vmx_entry_args args;
	struct vmx_exit_facts facts;
	struct vmx_host_state host;
	struct fpu_guest fpu;
	u64 xcr0, xfd, xfd_err;
	u32 pkru;
	u64 cr0_shadow, cr4_shadow, cr4_owned, cr4_allowed;
	u64 cr2;
	u64 db[4], dr6;
	bool debug_live;
	struct vhm_vcpu_control control;
	u64 dr7;
	u64 lazy_msrs[VMX_LAZY_COUNT];
	u32 lazy_live;
	u64 kernel_gs_base;
	u64 mtrrs[VMX_MTRRS], mtrr_def_type;
	u64 mcg_status;
	bool spec_ctrl_passthrough;
	u64 misc_enable;
	u32 tsc_khz;
	u64 tsc_multiplier, tsc_offset, tsc_lost, tsc_adjust;
	u32 preemption_timer;
	u64 armed_tsc;
	u32 parked;
	u32 injected, injected_error, injected_length;
	struct vhm_event exception;
	DECLARE_BITMAP(eoi_exit_bitmap, 256);
	u32 pin, primary, secondary;
	bool l1d_flush;
	bool rip_read, rip_dirty;
	bool rflags_read, rflags_dirty;
};

static inline struct vmx_vcpu *to_vmx(struct vhm_vcpu *vcpu)
{
	return container_of(vcpu, struct vmx_vcpu, base);
}

static inline struct vmx_vm *to_vmx_vm(struct vhm_vm *vm)
{
	return container_of(vm, struct vmx_vm, base);
}

/* What an exit handler decides. */
enum vmx_exit_outcome {
	VMX_RESUME,		/* enter the guest again */
	VMX_TO_USER,		/* run->exit_reason is filled in */
	VMX_NOT_RUNNABLE,	/* HLT: the core decides */
	VMX_SIGNAL,		/* a signal came while the handler waited */
	VMX_LATER,		/* not handled yet */
	VMX_NOT_ENTERED,	/* there was no exit */
};

typedef enum vmx_exit_outcome vmx_exit_handler(struct vmx_vcpu *v);

/*
 * RIP, RFLAGS and the exit qualification: read from the VMCS when somebody asks, written back
 * before the next entry. The VMCS is current wherever these are used.
 */
static inline u64 vmx_qualification(struct vmx_vcpu *v)
{
	if (!v->facts.qualification_read) {
		v->facts.qualification = vmread(EXIT_QUALIFICATION);
		v->facts.qualification_read = true;
	}
	return v->facts.qualification;
}

static inline u64 vmx_rip(struct vmx_vcpu *v)
{
	if (!v->rip_read) {
		v->base.regs.rip = vmread(GUEST_RIP);
		v->rip_read = true;
	}
	return v->base.regs.rip;
}

static inline u64 vmx_rflags(struct vmx_vcpu *v)
{
	if (!v->rflags_read) {
		v->base.regs.rflags = vmread(GUEST_RFLAGS);
		v->rflags_read = true;
	}
	return v->base.regs.rflags;
}

static inline void vmx_set_rip(struct vmx_vcpu *v, u64 rip)
{
	v->base.regs.rip = rip;
	v->rip_read = true;
	v->rip_dirty = true;
}

/* Bits that the processor reserves would fail the entry (SDM vol. 3, 27.3.1.4). */
#define RFLAGS_GUEST	0x3f7fd5ull

static inline void vmx_set_rflags(struct vmx_vcpu *v, u64 rflags)
{
	v->base.regs.rflags = (rflags & RFLAGS_GUEST) | X86_EFLAGS_FIXED;
	v->rflags_read = true;
	v->rflags_dirty = true;
}

#define RSP_NUMBER	4

/* struct vhm_registers is in encoding order; RSP is in the VMCS. */
static inline u64 vmx_read_gpr(struct vmx_vcpu *v, u32 number)
{
	return number == RSP_NUMBER ? vmread(GUEST_RSP) : (&v->base.regs.rax)[number];
}

static inline void vmx_write_gpr(struct vmx_vcpu *v, u32 number, u64 value)
{
	if (number == RSP_NUMBER)
		vmwrite(GUEST_RSP, value);
	else
		(&v->base.regs.rax)[number] = value;
}

static inline void vmx_set_primary(struct vmx_vcpu *v, u32 control, bool on)
{
	u32 primary = on ? v->primary | control : v->primary & ~control;

	if (primary == v->primary)
		return;
	v->primary = primary;
	vmwrite(CPU_BASED_VM_EXEC_CONTROL, primary);
}

/*
 * The exit came out of an IRET that had unblocked NMIs, if @field says so: block them again
 * (28.2.3). It is the same bit of the exit qualification and of the interruption information.
 */
static inline void vmx_block_nmi_again(struct vmx_vcpu *v, u64 field)
{
	if (field & INTR_INFO_UNBLOCK_NMI && !(v->facts.idt_vectoring & VECTORING_INFO_VALID_MASK))
		vmwrite(GUEST_INTERRUPTIBILITY_INFO,
			vmread(GUEST_INTERRUPTIBILITY_INFO) | GUEST_INTR_STATE_NMI);
}

static inline u32 vmx_cpl(void)
{
	return (vmread(GUEST_SS_AR_BYTES) >> 5) & 3;
}

static inline u32 vmx_insn_bytes(struct vmx_vcpu *v)
{
	return (u32)vmread(VM_EXIT_INSTRUCTION_LEN);
}

/* The exit is user space's: what all exits say in the run page. */
static inline enum vmx_exit_outcome
vmx_exit_to_user(struct vmx_vcpu *v, enum vhm_exit_reason reason)
{
	struct vhm_run *run = v->base.run;

	run->exit_reason = reason;
	run->hardware_reason = v->facts.reason;
	run->hardware_qualification = vmx_qualification(v);
	run->insn_bytes = 0;
	return VMX_TO_USER;
}

/* Likewise, of an instruction that user space carries out and retires. */
static inline enum vmx_exit_outcome
vmx_insn_to_user(struct vmx_vcpu *v, enum vhm_exit_reason reason)
{
	vmx_exit_to_user(v, reason);
	v->base.run->insn_bytes = vmx_insn_bytes(v);
	return VMX_TO_USER;
}

/* vmx/vcpu.c */
struct vhm_vcpu *vmx_vcpu_alloc(struct vhm_vm *vm);
int vmx_vcpu_init(struct vhm_vcpu *vcpu);
void vmx_vcpu_free(struct vhm_vcpu *vcpu);
void vmx_vcpu_reset(struct vhm_vcpu *vcpu);
void vmx_vcpu_sipi(struct vhm_vcpu *vcpu, u8 vector);
void vmx_vcpu_load(struct vhm_vcpu *vcpu, int cpu);
void vmx_vcpu_unload(struct vhm_vcpu *vcpu);

/* vmx/run.c */
enum vhm_run_outcome vmx_run(struct vhm_vcpu *vcpu);
void vmx_registers_changed(struct vhm_vcpu *vcpu);
void vmx_registers_complete(struct vhm_vcpu *vcpu);

/* vmx/exit.c */
vmx_exit_handler vmx_exit_at_once, vmx_handle_exit, vmx_skip_insn;
enum vmx_exit_outcome vmx_mmio_to_user(struct vmx_vcpu *v, u32 exit_reason, gpa_t gpa, u32 flags,
				       gva_t linear);
void vmx_retire(struct vhm_vcpu *vcpu, u32 insn_bytes);

/* exit families, one file each */
vmx_exit_handler vmx_exit_io, vmx_exit_rdmsr, vmx_exit_wrmsr, vmx_exit_cr, vmx_exit_xsetbv;
bool vmx_wrmsr_is_quick(struct vmx_vcpu *v);
vmx_exit_handler vmx_exit_ept_violation, vmx_exit_ept_misconfig, vmx_exit_log_full;
void vmx_follow_tables(struct vmx_vcpu *v);
void vmx_empty_log(struct vmx_vcpu *v);
vmx_exit_handler vmx_exit_exception, vmx_exit_irq_window, vmx_exit_nmi_window;
vmx_exit_handler vmx_exit_triple_fault, vmx_exit_task_switch;		/* exit_event.c */
vmx_exit_handler vmx_exit_apic_access, vmx_exit_apic_write, vmx_exit_eoi;

/* vmx/cr.c */
#define VMX_EFER_DEFINED	((u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX))
void vmx_init_cr_masks(struct vmx_vcpu *v);
bool vmx_cr0_valid(u64 cr0, u64 cr4, u64 efer);
void vmx_write_cr0(struct vmx_vcpu *v, u64 cr0);
void vmx_write_cr4(struct vmx_vcpu *v, u64 cr4);
u64 vmx_read_cr0(struct vmx_vcpu *v);
u64 vmx_read_cr4(struct vmx_vcpu *v);
void vmx_write_efer(struct vmx_vcpu *v, u64 efer);
void vmx_reset_cr(struct vmx_vcpu *v, u64 cr0);
int vmx_load_pdptes(struct vmx_vcpu *v);
static inline bool vmx_pae_paging(u64 cr0, u64 cr4, u64 efer)
{
	return cr0 & X86_CR0_PG && cr4 & X86_CR4_PAE && !(efer & EFER_LME);
}

/* vmx/inject.c */
/* Must vmx_inject_pending() look? What the processor delivers by itself is not its business. */
static inline bool vmx_has_events(struct vmx_vcpu *v)
{
	return v->injected | v->parked | v->exception.flags | v->base.irq_window_requested |
	       atomic_read(&v->base.nmi_pending) | (v->control.flags & VHM_CONTROL_SINGLE_STEP);
}

void vmx_inject_pending(struct vmx_vcpu *v);
void vmx_cancel_injection(struct vmx_vcpu *v);
void vmx_requeue_interrupted(struct vmx_vcpu *v);
void vmx_queue_exception(struct vmx_vcpu *v, u8 vector, bool has_error, u32 error);
/* Ends of an exit: the instruction is refused. vmx_skip_insn(): it was carried out. */
vmx_exit_handler vmx_queue_gp, vmx_queue_ud;
void vmx_settle_shadow(struct vmx_vcpu *v);
struct vhm_event vmx_exception_event(u32 info, u32 error_code);
struct vhm_event vmx_debug_event(u64 causes);
bool vmx_exception_runs_again(struct vmx_vcpu *v);
int vmx_check_exception(const struct vhm_event *event);
int vmx_inject_exception(struct vhm_vcpu *vcpu, const struct vhm_event *event);
int vmx_inject_extint(struct vhm_vcpu *vcpu, u8 vector);
bool vmx_irq_window_open(struct vhm_vcpu *vcpu);
bool vmx_has_deliverable_event(struct vhm_vcpu *vcpu);

/* vmx/apicv.c; the MSR of a register in x2APIC mode (SDM vol. 3, table 10-6) */
#define VMX_X2APIC_MSR(offset)	(0x800 + ((offset) >> 4))
void vmx_apic_mode_changed(struct vhm_vcpu *vcpu);
void vmx_apic_state_changed(struct vhm_vcpu *vcpu);
void vmx_interrupt_posted(struct vhm_vcpu *vcpu);
void vmx_apic_before_entry(struct vmx_vcpu *v);
void vmx_apicv_vcpu_init(struct vmx_vcpu *v);

/* vmx/msr.c */
void vmx_msr_init(struct vmx_vcpu *v);
#define VMX_MSR_BITMAP_WRITE	0x4000	/* bits from here on: writes (SDM vol. 3, 25.6.9) */
void vmx_msr_intercept(struct vmx_vcpu *v, u32 index, bool read, bool write);
/* section VHM_SECTION_MSRS, see struct vhm_section_ops */
u32 vmx_msrs_bytes(struct vhm_vcpu *vcpu);
void vmx_msrs_get(struct vhm_vcpu *vcpu, void *out, u32 bytes);
int vmx_msrs_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes);
int vmx_msrs_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes);
void vmx_cpuid_changed(struct vhm_vcpu *vcpu);
u64 vmx_guest_arch_capabilities(struct vmx_vcpu *v);		/* speculation.c */
bool vmx_guest_has_tsc_aux(struct vmx_vcpu *v);
int vmx_guest_rdmsr(struct vmx_vcpu *v, u32 index, u64 *value);
int vmx_guest_wrmsr(struct vmx_vcpu *v, u32 index, u64 value);

/* vmx/switch.c: host state displaced by a loaded guest */
void vmx_switch_init(void);
void vmx_lazy_msrs_forget(void);
void vmx_guest_state_load(struct vmx_vcpu *v);
void vmx_host_state_restore(struct vmx_vcpu *v);
void vmx_entry_state_load(struct vmx_vcpu *v);
void vmx_entry_state_restore(struct vmx_vcpu *v);
unsigned long vmx_host_interrupt(u8 vector);
void vmx_host_constant_state(struct vmx_vcpu *v);
void vmx_lazy_msr_changed(struct vmx_vcpu *v, u64 efer);
u64 vmx_guest_xcr0(u64 features);
bool vmx_xcr0_valid(struct vmx_vcpu *v, u64 xcr0);				/* exit_cr.c */

/* vmx/speculation.c */
int vmx_speculation_init(void);
void vmx_speculation_exit(void);
bool vmx_speculation_large_execute(void);
extern enum vmx_l1d_flush_state vmx_l1d_flush_mode;
void vmx_speculation_flush_l1d(struct vmx_vcpu *v);

/* Interrupts off, the last thing in C before the world switch. */
static inline void vmx_speculation_before_entry(struct vmx_vcpu *v)
{
	if (vmx_l1d_flush_mode != VMENTER_L1D_FLUSH_NEVER)
		vmx_speculation_flush_l1d(v);
	if (static_branch_unlikely(&mmio_stale_data_clear) &&
	    READ_ONCE(to_vmx_vm(v->base.vm)->ept.maps_devices))
		x86_clear_cpu_buffers();
}

/* Interrupts off, after the world switch. */
static inline void vmx_speculation_after_exit(void)
{
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
#endif
}

/*
 * vmx/debug.c. #MC belongs to the host; #AC and #DB delivery can recurse without end inside the
 * processor and would keep the host from this CPU: they exit whatever the VMM wants.
 */
#define VMX_HOST_EXCEPTIONS	(BIT(X86_TRAP_MC) | BIT(X86_TRAP_AC) | BIT(X86_TRAP_DB))
#define DR6_CAUSES		0xe00full	/* B0-B3, BD, BS, BT */

static inline bool vmx_has_breakpoints(const struct vmx_vcpu *v)
{
	return v->control.flags & VHM_CONTROL_BREAKPOINTS;
}

int vmx_set_control(struct vhm_vcpu *vcpu, const struct vhm_vcpu_control *control);
u64 vmx_read_dr7(struct vmx_vcpu *v);
void vmx_write_dr7(struct vmx_vcpu *v, u64 dr7);
u64 vmx_pending_debug(struct vmx_vcpu *v);
u64 vmx_take_hits(struct vmx_vcpu *v, u64 *causes);
void vmx_hold_interrupts(struct vmx_vcpu *v);
vmx_exit_handler vmx_exit_dr, vmx_exit_step;
enum vmx_exit_outcome vmx_exit_wanted_exception(struct vmx_vcpu *v, u32 info);
enum vmx_exit_outcome vmx_report_exception(struct vmx_vcpu *v, const struct vhm_event *event);

/* vmx/state.c: sections */
extern const struct vhm_section_ops vmx_sections[VHM_SECTION_COUNT];
void vmx_write_segment(u32 number, const struct vhm_segment *in);
int vmx_enable_xcr0(struct vhm_vcpu *vcpu, u64 xcr0);
int vmx_check_tsc_khz(u32 khz);
void vmx_write_tsc(struct vmx_vcpu *v);
void vmx_set_tsc(struct vhm_vcpu *vcpu, u32 khz, u64 host_tsc, u64 tsc);
void vmx_set_tsc_offset(struct vhm_vcpu *vcpu, u64 offset);

/* vmx/life.c: VMXON and the list of active VMCSs */
DECLARE_PER_CPU(struct vmx_vcpu *, vmx_current);	/* whose VMCS is current; own CPU only */

/* With preemption off. Whoever makes another VMCS current, or none, changes vmx_current. */
static inline bool vmx_is_current(const struct vmx_vcpu *v)
{
	return this_cpu_read(vmx_current) == v;
}

void vmx_life_init(void);
void vmx_life_exit(void);
int vmx_get(void);
void vmx_put(void);
void vmx_report_vmread_failures(struct vmx_vcpu *v);
void *vmx_alloc_region(gfp_t gfp);
bool vmx_vmcs_make_current(struct vmx_vcpu *v, int cpu);
void vmx_vmcs_clear(struct vmx_vcpu *v);

#endif /* VMX_VMX_H */
