// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host state that a guest displaces, and how it comes back. Three lifetimes:
 *
 *   constant	written to the VMCS once (vmx_host_constant_state)
 *   loaded	displaced from the first entry until the thread leaves the CPU or
 *		VHM_VCPU_RUN ends (vmx_guest_state_load, vmx_host_state_restore): segment
 *		registers, kernel GS base, and what VM exits truncate (GDT limit, TSS limit)
 *	        lazy MSRs stay until the CPU returns to user mode
 *   entry	switched around each entry: XCR0, XSS, XFD, PKRU, debug registers, CR3 and CR4
 *
 * All of it runs with preemption off; the entry part with interrupts off.
 */
#include "vmx.h"

#include <linux/hw_breakpoint.h>
#include <linux/user-return-notifier.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fsgsbase.h>
#include <asm/fpu/xcr.h>
#include <asm/mmu_context.h>
#include <asm/msr.h>
#include <asm/perf_event.h>

#include "enter.h"

static const u32 lazy_msr_index[VMX_LAZY_COUNT] = {
	[VMX_LAZY_STAR] = MSR_STAR, [VMX_LAZY_LSTAR] = MSR_LSTAR, [VMX_LAZY_CSTAR] = MSR_CSTAR,
	[VMX_LAZY_SYSCALL_MASK] = MSR_SYSCALL_MASK, [VMX_LAZY_TSC_AUX] = MSR_TSC_AUX,
};

/**
 * struct lazy_cpu - lazy MSRs of one CPU
 * @notifier: runs before this CPU returns to user mode
 * @registered: it is registered
 * @known: @host was read
 * @host: the host's values, which never change once the CPU is up
 * @current_value: what the processor holds now
 *
 * Own CPU only; interrupts off where @registered changes.
 */
struct lazy_cpu {
	struct user_return_notifier notifier;
	bool registered, known;
	u64 host[VMX_LAZY_COUNT], current_value[VMX_LAZY_COUNT];
};

static DEFINE_PER_CPU(struct lazy_cpu, lazy_cpus);
static u64 host_xss;
static const gate_desc *host_idt;
static bool host_has_debugctl __ro_after_init;
u64 vmx_host_xcr0;

static void lazy_on_user_return(struct user_return_notifier *notifier)
{
	struct lazy_cpu *cpu = container_of(notifier, struct lazy_cpu, notifier);
	unsigned long flags;

	/* vmx_lazy_msrs_forget() may interrupt */
	local_irq_save(flags);
	if (cpu->registered) {
		cpu->registered = false;
		user_return_notifier_unregister(notifier);
	}
	local_irq_restore(flags);
	for (int i = 0; i < VMX_LAZY_COUNT; i++)
		if (cpu->current_value[i] != cpu->host[i] &&
		    !wrmsrl_safe(lazy_msr_index[i], cpu->host[i]))
			cpu->current_value[i] = cpu->host[i];
}

static noinline void lazy_cpu_learn(struct lazy_cpu *cpu)
{
	for (int i = 0; i < VMX_LAZY_COUNT; i++) {
		if (rdmsrl_safe(lazy_msr_index[i], &cpu->host[i]))	/* TSC_AUX may not exist */
			cpu->host[i] = 0;
		cpu->current_value[i] = cpu->host[i];
	}
	cpu->notifier.on_user_return = lazy_on_user_return;
	cpu->known = true;
}

/* Interrupts off. */
static noinline void lazy_msr_write(struct lazy_cpu *cpu, int i, u64 value)
{
	/* set_msr() of vmx/msr.c has refused values that fault */
	if (wrmsrl_safe(lazy_msr_index[i], value))
		return;
	cpu->current_value[i] = value;
	if (!cpu->registered) {
		cpu->registered = true;
		user_return_notifier_register(&cpu->notifier);
	}
}

/* Interrupts off. */
static void lazy_msrs_load(struct vmx_vcpu *v)
{
	struct lazy_cpu *cpu = this_cpu_ptr(&lazy_cpus);
	u32 live = v->lazy_live;

	if (unlikely(!cpu->known))
		lazy_cpu_learn(cpu);
	for (; live; live &= live - 1) {
		int i = __ffs(live);

		if (cpu->current_value[i] != v->lazy_msrs[i])
			lazy_msr_write(cpu, i, v->lazy_msrs[i]);
	}
}

/*
 * v->lazy_msrs or what decides of their use was written, while the guest may be loaded. What
 * the guest cannot use is not loaded for it: SYSCALL's MSRs without @efer's SCE, TSC_AUX without
 * RDTSCP and RDPID.
 */
void vmx_lazy_msr_changed(struct vmx_vcpu *v, u64 efer)
{
	unsigned long flags;

	v->lazy_live = efer & EFER_SCE ? GENMASK(VMX_LAZY_SYSCALL_MASK, VMX_LAZY_STAR) : 0;
	if (vmx_guest_has_tsc_aux(v))
		v->lazy_live |= BIT(VMX_LAZY_TSC_AUX);
	local_irq_save(flags);
	if (v->host.loaded)
		lazy_msrs_load(v);
	local_irq_restore(flags);
}

/*
 * Interrupts off, VMX goes off here: the CPU may come back with other values, and once the last
 * VM is gone it must not call back into a module that is unloaded.
 */
void vmx_lazy_msrs_forget(void)
{
	struct lazy_cpu *cpu = this_cpu_ptr(&lazy_cpus);

	if (cpu->registered)
		lazy_on_user_return(&cpu->notifier);
	cpu->known = false;
}

void vmx_switch_init(void)
{
	struct desc_ptr idt;
	u64 value;

	store_idt(&idt);
	host_idt = (const gate_desc *)idt.address;

	host_has_debugctl = !rdmsrl_safe(MSR_IA32_DEBUGCTLMSR, &value);
	if (boot_cpu_has(X86_FEATURE_XSAVES) && rdmsrl_safe(MSR_IA32_XSS, &host_xss))
		host_xss = 0;
	if (boot_cpu_has(X86_FEATURE_OSXSAVE))
		vmx_host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
}

/*
 * XCR0 bits a guest may set: what the host uses, without MPX, which is gone; AMX where its tiles
 * are among @features that a vCPU has room for, or that the host lets a process give to guests.
 */
u64 vmx_guest_xcr0(u64 features)
{
	u64 known = XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM | XFEATURE_MASK_AVX512 |
		    XFEATURE_MASK_PKRU;

	if (features & XFEATURE_MASK_XTILE_DATA)
		known |= XFEATURE_MASK_XTILE;
	return vmx_host_xcr0 & known;
}

/* Where the gate of a vector leads; the IDT is one for all CPUs and never moves. */
unsigned long vmx_host_interrupt(u8 vector)
{
	return gate_offset(&host_idt[vector]);
}

/* ---------------------------------------------------------------- constant -- */

/* SDM vol. 3, 25.5, Host-State Area; checks in 27.2.2, 27.2.3. Those that are 0: vmx/vcpu.c. */
void vmx_host_constant_state(struct vmx_vcpu *v)
{
	vmwrite(HOST_CR0, read_cr0() & ~X86_CR0_TS);
	vmwrite(HOST_CS_SELECTOR, __KERNEL_CS);
	vmwrite(HOST_SS_SELECTOR, __KERNEL_DS);
	vmwrite(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	vmwrite(HOST_FS_BASE, v->host.fs_base);
	vmwrite(HOST_IDTR_BASE, (unsigned long)host_idt);
	vmwrite(HOST_RIP, (unsigned long)vmx_exit_point);
	/* architectural on all CPUs with VMX */
	vmwrite(HOST_IA32_SYSENTER_CS, __rdmsr(MSR_IA32_SYSENTER_CS));
	vmwrite(HOST_IA32_SYSENTER_EIP, __rdmsr(MSR_IA32_SYSENTER_EIP));
	vmwrite(HOST_IA32_PAT, __rdmsr(MSR_IA32_CR_PAT));
	vmwrite(HOST_IA32_EFER, __rdmsr(MSR_EFER));
	if (vmx_caps.exit & VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL)
		vmwrite(HOST_IA32_PERF_GLOBAL_CTRL, 0);
}

/* ------------------------------------------------------------------ loaded -- */

/*
 * Base of the GS that is not in use: the thread's of user mode, or the guest's. Interrupts
 * off, and no probe in between: with SWAPGS done there are no per-CPU variables.
 */
static noinstr u64 inactive_gs_base(void)
{
	u64 base;

	if (!static_cpu_has(X86_FEATURE_FSGSBASE))
		return __rdmsr(MSR_KERNEL_GS_BASE);
	asm volatile("swapgs; rdgsbase %0; swapgs" : "=r" (base) : : "memory");
	return base;
}

/* Interrupts off, before the first entry after the thread came to this CPU. */
void vmx_guest_state_load(struct vmx_vcpu *v)
{
	struct vmx_host_state *host = &v->host;
	u64 fs_base = static_cpu_has(X86_FEATURE_FSGSBASE) ? rdfsbase() : __rdmsr(MSR_FS_BASE);

	/* bases and selectors of the thread's user mode */
	savesegment(fs, host->fs_selector);
	savesegment(gs, host->gs_selector);
	savesegment(ds, host->ds_selector);
	savesegment(es, host->es_selector);
	store_ldt(host->ldt_selector);
	host->kernel_gs_base = inactive_gs_base();
	/* a host selector must have TI and RPL 0 (27.2.3): all stay null, restored by hand */
	if (fs_base != host->fs_base) {
		host->fs_base = fs_base;
		vmwrite(HOST_FS_BASE, fs_base);
	}

	if (v->lazy_live)
		lazy_msrs_load(v);
	native_wrmsrl(MSR_KERNEL_GS_BASE, v->kernel_gs_base);	/* canonical: vmx/msr.c */
	host->loaded = true;
}

/* Selectors of the thread's user mode that are not null: 32-bit code, modify_ldt(). */
static noinline void restore_selectors(const struct vmx_host_state *host)
{
	if (host->ldt_selector)
		asm volatile("lldt %0" : : "m" (host->ldt_selector));
	if (host->gs_selector)
		load_gs_index(host->gs_selector);
	if (host->fs_selector) {
		loadsegment(fs, host->fs_selector);
		wrmsrl(MSR_FS_BASE, host->fs_base);
	}
	loadsegment(ds, host->ds_selector);
	loadsegment(es, host->es_selector);
}

/* Interrupts off, before anything else may run in the thread's place. */
void vmx_host_state_restore(struct vmx_vcpu *v)
{
	struct vmx_host_state *host = &v->host;

	host->loaded = false;
	v->kernel_gs_base = inactive_gs_base();
	/*
	 * An exit loads a null LDTR, null selectors, the base of FS, and limits of 0xffff and
	 * 0x67 (SDM vol. 3, 28.5.2).
	 */
	if (unlikely(host->ldt_selector | host->fs_selector | host->gs_selector |
		     host->ds_selector | host->es_selector))
		restore_selectors(host);
	invalidate_tss_limit();
	native_wrmsrl(MSR_KERNEL_GS_BASE, host->kernel_gs_base);
	native_load_gdt(&host->gdt);
}

/* ------------------------------------------------------------------- entry -- */

static void write_host_control_registers(struct vmx_host_state *host)
{
	unsigned long cr3 = __read_cr3();
	unsigned long cr4 = cr4_read_shadow();

	if (cr3 != host->cr3) {
		vmwrite(HOST_CR3, cr3);
		host->cr3 = cr3;
	}
	if (cr4 != host->cr4) {
		vmwrite(HOST_CR4, cr4);
		host->cr4 = cr4;
	}
}

/*
 * The guest runs with all performance counters off: a PEBS record written in the guest
 * would go through the guest's page tables. What must be switched is known to perf.
 */
static noinline void perf_msrs_switch(struct vmx_vcpu *v, bool to_guest)
{
	bool by_control = vmx_caps.exit & VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL;
	const struct perf_guest_switch_msr *msr = v->host.perf_msrs;
	const struct perf_guest_switch_msr *end = msr + v->host.perf_msr_count;

	for (; msr < end; msr++) {
		if (msr->msr != MSR_CORE_PERF_GLOBAL_CTRL) {
			if (msr->host != msr->guest)
				wrmsrl_safe(msr->msr, to_guest ? msr->guest : msr->host);
		} else if (!by_control) {
			wrmsrl_safe(msr->msr, to_guest ? 0 : msr->host);
		} else if (to_guest) {
			vmwrite(HOST_IA32_PERF_GLOBAL_CTRL, msr->host);
		}
	}
}

static void perf_counters_off(struct vmx_vcpu *v)
{
	if (!cpu_feature_enabled(X86_FEATURE_ARCH_PERFMON))
		return;
	v->host.perf_msrs = perf_guest_get_msrs(&v->host.perf_msr_count, NULL);
	if (v->host.perf_msr_count)
		perf_msrs_switch(v, true);
}

static noinline void load_debug_registers(struct vmx_vcpu *v)
{
	const u64 *db = vmx_has_breakpoints(v) ? v->control.breakpoint : v->db;

	set_debugreg(0, 7);	/* no breakpoint of the host's at the guest's addresses */
	for (int i = 0; i < 4; i++)
		set_debugreg(db[i], i);
	set_debugreg(v->dr6, 6);
}

static noinline void save_debug_registers(struct vmx_vcpu *v)
{
	if (vmx_has_breakpoints(v)) {
		set_debugreg(DR6_RESERVED, 6);
		return;		/* the guest's are all in v */
	}
	for (int i = 0; i < 4; i++)
		get_debugreg(v->db[i], i);
	get_debugreg(v->dr6, 6);
	set_debugreg(DR6_RESERVED, 6);
	/* without breakpoints of its own the guest does not have them until its next MOV DR */
	if (!(vmread(GUEST_DR7) & 0xff)) {
		v->debug_live = false;
		vmx_set_primary(v, CPU_BASED_MOV_DR_EXITING, true);
	}
}

static __always_inline bool guest_uses_pkru(struct vmx_vcpu *v)
{
	return cpu_feature_enabled(X86_FEATURE_OSPKE) &&
	       (v->xcr0 & XFEATURE_MASK_PKRU || v->cr4_shadow & X86_CR4_PKE);
}

/* The guest's or the host's, where they differ. A guest's IA32_XSS is 0 always. */
static __always_inline void load_xcr0_xss(struct vmx_vcpu *v, u64 xcr0, u64 xss)
{
	if (!cpu_feature_enabled(X86_FEATURE_OSXSAVE))
		return;
	if (v->xcr0 != vmx_host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, xcr0);
	if (host_xss && v->secondary & SECONDARY_EXEC_XSAVES)
		wrmsrl(MSR_IA32_XSS, xss);
}

/*
 * A guest that disables its tiles, or was told that it had. The host's IA32_XFD lets XSAVE save and
 * XRSTOR load them whatever the guest's says, and its IA32_XFD_ERR is 0 outside its own #NM.
 */
static noinline void load_xfd(struct vmx_vcpu *v)
{
	if (v->xfd_err)
		wrmsrl(MSR_IA32_XFD_ERR, v->xfd_err);
	if (v->xfd)
		wrmsrl(MSR_IA32_XFD, v->xfd);
}

static noinline void save_xfd(struct vmx_vcpu *v)
{
	if (v->xfd)
		wrmsrl(MSR_IA32_XFD, v->fpu.fpstate->xfd);
	rdmsrl(MSR_IA32_XFD_ERR, v->xfd_err);
	if (v->xfd_err)
		wrmsrl(MSR_IA32_XFD_ERR, 0);
}

/* Interrupts off. */
void vmx_entry_state_load(struct vmx_vcpu *v)
{
	/* perf may have changed it in any interrupt */
	if (host_has_debugctl)
		v->host.debugctl = __rdmsr(MSR_IA32_DEBUGCTLMSR);
	write_host_control_registers(&v->host);
	perf_counters_off(v);

	/* a softirq may have used the FPU since swap_fpu() */
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
	load_xcr0_xss(v, v->xcr0, 0);
	if (unlikely(v->xfd | v->xfd_err))
		load_xfd(v);
	if (guest_uses_pkru(v)) {
		v->host.pkru = rdpkru();
		if (v->pkru != v->host.pkru)
			wrpkru(v->pkru);
	}
	if (unlikely(v->debug_live))
		load_debug_registers(v);
}

/* Interrupts off. */
void vmx_entry_state_restore(struct vmx_vcpu *v)
{
	if (v->host.perf_msr_count)
		perf_msrs_switch(v, false);
	if (v->host.debugctl)
		update_debugctlmsr(v->host.debugctl);
	if (unlikely(v->debug_live))
		save_debug_registers(v);
	if (hw_breakpoint_active())
		hw_breakpoint_restore();
	if (guest_uses_pkru(v)) {
		v->pkru = rdpkru();
		if (v->pkru != v->host.pkru)
			wrpkru(v->host.pkru);
	}
	if (unlikely(v->xfd | v->xfd_err))
		save_xfd(v);
	load_xcr0_xss(v, vmx_host_xcr0, host_xss);
}
