// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMXON and VMXOFF: VMX is on while VMs exist, on every CPU that is online.
 *
 * One CPU-hotplug state does it: installing it runs vmx_cpu_on() on each CPU, removing
 * it vmx_cpu_off(), and CPUs that come and go meanwhile run them too. Suspend and resume
 * of the last CPU, reboot and crash have hooks of their own.
 *
 * life_lock guards life_users. The per-CPU data belongs to its CPU, interrupts off.
 */
#include "vmx.h"

#include <linux/cpu.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <linux/syscore_ops.h>
#include <asm/reboot.h>
#include <asm/tlbflush.h>

/**
 * struct vmx_cpu - what this module has on one CPU
 * @region: VMXON region
 * @active: VMCSs that are active here (struct vmx_vcpu.loaded_link)
 * @on: VMXON was executed
 */
struct vmx_cpu {
	void *region;
	struct list_head active;
	bool on;
};

static DEFINE_PER_CPU(struct vmx_cpu, vmx_cpus);
DEFINE_PER_CPU(struct vmx_vcpu *, vmx_current);
static DEFINE_MUTEX(life_lock);
static unsigned int life_users;
static int life_hotplug_state;
static bool life_crash_hooked;
static bool life_down;		/* the host goes down: VMX stays off; set once */

DEFINE_PER_CPU(unsigned int, vmx_vmread_failures);

void vmx_instruction_failed(const char *name, u64 operand)
{
	/* a reboot or a crash turns VMX off under us: nothing to report then */
	if (system_state == SYSTEM_RUNNING && this_cpu_read(vmx_cpus.on))
		WARN_ONCE(1, "%s failed, operand %#llx\n", name, operand);
}

/* What a failed VMREAD did not read cannot be made up for: the VM does not go on. */
void vmx_report_vmread_failures(struct vmx_vcpu *v)
{
	this_cpu_write(vmx_vmread_failures, 0);
	vmx_instruction_failed("VMREAD", 0);
	vhm_vm_kill(v->base.vm);
}

/* The first 31 bits of each region hold the revision (SDM vol. 3, 25.2, 25.11.5). */
void *vmx_alloc_region(gfp_t gfp)
{
	u32 *region = (u32 *)get_zeroed_page(gfp);

	if (region)
		*region = vmx_caps.revision;
	return region;
}

/* Interrupts off. VMCLEAR writes back what the CPU caches of it (25.11.3). */
static void clear_here(struct vmx_vcpu *v)
{
	if (!vmclear(__pa(v->vmcs)))
		vmx_instruction_failed("VMCLEAR", __pa(v->vmcs));
	if (this_cpu_read(vmx_current) == v)
		this_cpu_write(vmx_current, NULL);
	list_del_init(&v->loaded_link);
	v->launched = false;
	/* pairs with the load in vmx_vmcs_clear(): cleared before it is seen so */
	smp_store_release(&v->base.cpu, -1);
}

static void clear_ipi(void *arg)
{
	struct vmx_vcpu *v = arg;

	if (v->base.cpu == smp_processor_id())
		clear_here(v);
}

/**
 * vmx_vmcs_clear() - make a VMCS inactive wherever it is active
 * @v: the vCPU
 *
 * Context: interrupts on, preemption may be off. On return no CPU caches any of it.
 */
void vmx_vmcs_clear(struct vmx_vcpu *v)
{
	int cpu = smp_load_acquire(&v->base.cpu);	/* pairs with clear_here() */

	if (cpu < 0)
		return;
	/* fails if that CPU went offline: vmx_cpu_off() has cleared it then */
	smp_call_function_single(cpu, clear_ipi, v, 1);
	WARN_ON_ONCE(READ_ONCE(v->base.cpu) >= 0);
}

/**
 * vmx_vmcs_make_current() - VMPTRLD
 * @v: the vCPU
 * @cpu: this CPU
 *
 * Context: preemption off. Returns false if VMX is off here; the vCPU cannot run then.
 */
bool vmx_vmcs_make_current(struct vmx_vcpu *v, int cpu)
{
	struct vmx_cpu *here = this_cpu_ptr(&vmx_cpus);
	unsigned long flags;
	bool ok;

	if (vmx_is_current(v))
		return true;
	if (v->base.cpu != cpu)
		vmx_vmcs_clear(v);

	local_irq_save(flags);
	ok = here->on;
	if (ok && v->base.cpu != cpu)
		/* before it is active: a crash must find it from the first moment */
		list_add(&v->loaded_link, &here->active);
	if (ok && !vmptrld(__pa(v->vmcs))) {
		vmx_instruction_failed("VMPTRLD", __pa(v->vmcs));
		clear_here(v);
		vhm_vm_kill(v->base.vm);
		ok = false;
	}
	if (ok) {
		this_cpu_write(vmx_current, v);
		v->base.cpu = cpu;
	}
	local_irq_restore(flags);
	return ok;
}

/* Interrupts off. */
static int cpu_on_irqsoff(struct vmx_cpu *cpu)
{
	if (cpu->on)
		return 0;
	if (READ_ONCE(life_down))
		return -ENODEV;
	if (__read_cr4() & X86_CR4_VMXE)
		return -EBUSY;
	cr4_set_bits(X86_CR4_VMXE);
	/* VMXON ends a processor trace, and some CPUs cannot start one until VMXOFF (33.5) */
	intel_pt_handle_vmx(1);
	if (!vmxon(__pa(cpu->region))) {
		intel_pt_handle_vmx(0);
		cr4_clear_bits(X86_CR4_VMXE);
		return -EBUSY;
	}
	cpu->on = true;
	/* what another hypervisor left tagged by an EPTP or VPID of ours */
	invept(VMX_EPT_EXTENT_GLOBAL, 0);
	if (vmx_caps.vpid && vmx_caps.vpid_features & VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT)
		invvpid(VMX_VPID_EXTENT_ALL_CONTEXT, 0);
	return 0;
}

/* Interrupts off. */
static void cpu_off_irqsoff(void *unused)
{
	struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);
	struct vmx_vcpu *v, *next;

	vmx_lazy_msrs_forget();
	if (!cpu->on)
		return;
	list_for_each_entry_safe(v, next, &cpu->active, loaded_link)
		clear_here(v);
	if (!vmxoff())
		vmx_instruction_failed("VMXOFF", 0);
	cpu->on = false;
	intel_pt_handle_vmx(0);
	cr4_clear_bits(X86_CR4_VMXE);
}

static int vmx_cpu_on(unsigned int cpu_number)
{
	struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);
	int ret;

	if (!cpu->region)
		cpu->region = vmx_alloc_region(GFP_KERNEL);
	if (!cpu->region)
		return -ENOMEM;
	local_irq_disable();
	ret = cpu_on_irqsoff(cpu);
	local_irq_enable();
	if (ret) {
		/* cpuhp does not call vmx_cpu_off() for the CPU that failed */
		free_page((unsigned long)cpu->region);
		cpu->region = NULL;
	}
	if (ret == -EBUSY)
		pr_err("another hypervisor holds VMX on CPU %u; stop its guests and unload it (rmmod kvm_intel)\n",
		       cpu_number);
	return ret;
}

static int vmx_cpu_off(unsigned int cpu_number)
{
	struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);

	local_irq_disable();
	cpu_off_irqsoff(NULL);
	local_irq_enable();
	free_page((unsigned long)cpu->region);
	cpu->region = NULL;
	return 0;
}

/*
 * A crash, on this CPU, in NMI context: write back all VMCSs, since the crash kernel may
 * reuse their memory, then leave. The list is safe to walk forward at any moment: entries
 * are linked in and out by their predecessor's pointer last.
 */
static void life_crash(void)
{
	struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);
	struct vmx_vcpu *v;

	if (!cpu->on)
		return;
	list_for_each_entry(v, &cpu->active, loaded_link)
		vmclear(__pa(v->vmcs));
	vmxoff();
	cpu->on = false;
	cr4_clear_bits(X86_CR4_VMXE);
}

/**
 * vmx_get() - VMX on, for the first user
 *
 * Errors: EBUSY another hypervisor holds VMX on some CPU; ENOMEM. Context: may sleep.
 */
int vmx_get(void)
{
	int ret = 0;

	mutex_lock(&life_lock);
	if (!life_users)
		ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "virt/vhm:online", vmx_cpu_on,
					vmx_cpu_off);
	if (ret > 0) {
		life_hotplug_state = ret;
		/*
		 * The host has one crash hook for all hypervisors and warns about a second one.
		 * Where KVM takes it for as long as it is loaded, its hook executes VMXOFF for us.
		 */
		life_crash_hooked = !vhm_kvm_has_crash_hook();
		if (life_crash_hooked)
			cpu_emergency_register_virt_callback(life_crash);
		ret = 0;
	}
	if (!ret)
		life_users++;
	mutex_unlock(&life_lock);
	return ret;
}

/* VMX off, for the last user. */
void vmx_put(void)
{
	mutex_lock(&life_lock);
	if (!--life_users) {
		if (life_crash_hooked)
			cpu_emergency_unregister_virt_callback(life_crash);
		cpuhp_remove_state(life_hotplug_state);
	}
	mutex_unlock(&life_lock);
}

u64 vhm_tsc_lost;
static u64 life_suspended_tsc;

/* Syscore: the last CPU online, interrupts off, nothing else runs. */
static int life_suspend(void)
{
	life_suspended_tsc = rdtsc_ordered();
	cpu_off_irqsoff(NULL);
	return 0;
}

static void life_resume(void)
{
	struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);
	u64 now = rdtsc_ordered();

	/* a processor that was without power begins anew (18.17); the guests' must not go back */
	if (now < life_suspended_tsc)
		vhm_tsc_lost += life_suspended_tsc - now;
	if (cpu->region && cpu_on_irqsoff(cpu))
		pr_err("VMX cannot be switched on again after suspend; vCPUs on CPU 0 do not run\n");
}

static struct syscore_ops life_syscore_ops = { .suspend = life_suspend, .resume = life_resume };

/* INIT is blocked while VMX is on (SDM vol. 3, 24.8): a reboot would hang. */
static int life_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	WRITE_ONCE(life_down, true);
	on_each_cpu(cpu_off_irqsoff, NULL, 1);
	return NOTIFY_OK;
}

static struct notifier_block life_reboot_notifier = { .notifier_call = life_reboot };

/* Cannot fail: the chain refuses only a notifier that it has already. */
void vmx_life_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		INIT_LIST_HEAD(&per_cpu(vmx_cpus, cpu).active);
	register_reboot_notifier(&life_reboot_notifier);
	register_syscore_ops(&life_syscore_ops);
}

void vmx_life_exit(void)
{
	unregister_syscore_ops(&life_syscore_ops);
	unregister_reboot_notifier(&life_reboot_notifier);
}
