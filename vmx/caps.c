// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads VMX capabilities and decides which controls every VMCS starts with.
 *
 * Runs once at module load. Does not turn VMX on (vmx/life.c).
 */
#include "caps.h"

#include <linux/cpufeature.h>
#include <asm/msr.h>
#include <asm/vmx.h>

#include "vhm/compat.h"

struct vmx_caps vmx_caps __ro_after_init;

static bool apicv = true;
module_param(apicv, bool, 0444);
MODULE_PARM_DESC(apicv, "use APIC virtualization and virtual-interrupt delivery where the CPU has them");

static bool posted_interrupts = true;
module_param(posted_interrupts, bool, 0444);
MODULE_PARM_DESC(posted_interrupts, "post interrupts to running guests where the CPU can, with apicv");

static bool vpid = true;
module_param(vpid, bool, 0444);
MODULE_PARM_DESC(vpid, "tag translations by VPID where the CPU can");

static bool preemption_timer = true;
module_param(preemption_timer, bool, 0444);
MODULE_PARM_DESC(preemption_timer, "let the VMX-preemption timer end a guest's stay where the CPU has one");

static bool write_log = true;
module_param(write_log, bool, 0444);
MODULE_PARM_DESC(write_log, "have the CPU log what guests write to where it can (PML)");

#define PIN_REQUIRED	(PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS)
#define PRIMARY_REQUIRED (CPU_BASED_HLT_EXITING | CPU_BASED_MWAIT_EXITING | \
			 CPU_BASED_RDPMC_EXITING | CPU_BASED_MOV_DR_EXITING | \
			 CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_USE_MSR_BITMAPS | \
			 CPU_BASED_MONITOR_EXITING | CPU_BASED_USE_TSC_OFFSETTING | \
			 CPU_BASED_TPR_SHADOW | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
#define PRIMARY_FORBIDDEN (CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING | \
			 CPU_BASED_INVLPG_EXITING)
#define SECONDARY_REQUIRED (SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST)
#define SECONDARY_OPTIONAL (SECONDARY_EXEC_ENABLE_VPID | SECONDARY_EXEC_ENABLE_RDTSCP | \
			 SECONDARY_EXEC_ENABLE_INVPCID | SECONDARY_EXEC_WBINVD_EXITING | \
			 SECONDARY_EXEC_XSAVES | SECONDARY_EXEC_ENCLS_EXITING | \
			 SECONDARY_EXEC_PAUSE_LOOP_EXITING | SECONDARY_EXEC_TSC_SCALING | \
			 SECONDARY_EXEC_ENABLE_PML)
#define EXIT_REQUIRED	(VM_EXIT_SAVE_DEBUG_CONTROLS | VM_EXIT_HOST_ADDR_SPACE_SIZE | \
			 VM_EXIT_ACK_INTR_ON_EXIT | VM_EXIT_SAVE_IA32_PAT | \
			 VM_EXIT_LOAD_IA32_PAT | VM_EXIT_SAVE_IA32_EFER | VM_EXIT_LOAD_IA32_EFER)
#define ENTRY_REQUIRED	(VM_ENTRY_LOAD_DEBUG_CONTROLS | VM_ENTRY_LOAD_IA32_PAT | \
			 VM_ENTRY_LOAD_IA32_EFER)

#define BASIC_TRUE_CONTROLS	BIT_ULL(55)	/* SDM vol. 3, A.1, Basic VMX Information */
#define BASIC_MEMORY_TYPE(b)	((u32)((b) >> 50) & 0xf)
#define EPT_NEEDED		(VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT | VMX_EPT_INVEPT_BIT | \
				 VMX_EPT_EXTENT_CONTEXT_BIT | VMX_EPT_EXTENT_GLOBAL_BIT)

static bool read_capability(u32 index, u64 *value)
{
	if (!rdmsrl_safe(index, value))
		return true;
	pr_err("this processor does not answer VMX capability MSR %#x\n", index);
	return false;
}

/**
 * struct control_field - what every VMCS starts with in one field of controls
 * @name: for the log
 * @index: its capability MSR
 * @true_index: the one to be used where IA32_VMX_BASIC says so
 * @value: out: the field
 * @required: must be 1
 * @optional: should be 1 if the processor can
 * @forbidden: must be 0 (the processor can require otherwise)
 */
struct control_field {
	const char *name;
	u32 index, true_index;
	u32 *value;
	u32 required, optional, forbidden;
};

static const struct control_field control_fields[] = {
	{ "pin-based", MSR_IA32_VMX_PINBASED_CTLS, MSR_IA32_VMX_TRUE_PINBASED_CTLS,
	  &vmx_caps.pin, PIN_REQUIRED, PIN_BASED_VMX_PREEMPTION_TIMER | PIN_BASED_POSTED_INTR },
	{ "processor-based", MSR_IA32_VMX_PROCBASED_CTLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS,
	  &vmx_caps.primary, PRIMARY_REQUIRED, CPU_BASED_MONITOR_TRAP_FLAG, PRIMARY_FORBIDDEN },
	{ "secondary (EPT, unrestricted guest)", MSR_IA32_VMX_PROCBASED_CTLS2,
	  MSR_IA32_VMX_PROCBASED_CTLS2, &vmx_caps.secondary, SECONDARY_REQUIRED,
	  SECONDARY_OPTIONAL | VMX_APICV_CONTROLS },
	{ "exit", MSR_IA32_VMX_EXIT_CTLS, MSR_IA32_VMX_TRUE_EXIT_CTLS,
	  &vmx_caps.exit, EXIT_REQUIRED, VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL },
	{ "entry", MSR_IA32_VMX_ENTRY_CTLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS,
	  &vmx_caps.entry, ENTRY_REQUIRED, VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL },
};

static bool adjust_controls(bool true_controls)
{
	const struct control_field *field;
	u64 capability;
	u32 missing;

	for (field = control_fields; field < control_fields + ARRAY_SIZE(control_fields); field++) {
		if (!read_capability(true_controls ? field->true_index : field->index, &capability))
			return false;
		missing = vmx_adjust_controls(field->required, field->optional, field->forbidden,
					      capability, field->value);
		if (missing) {
			pr_err("this processor lacks VMX %s controls %#x\n", field->name, missing);
			return false;
		}
	}
	return true;
}

/*
 * Errata of Westmere: the control may load a wrong value (as Nehalem's AAK155; that has no
 * unrestricted guest and is refused).
 */
static bool perf_global_ctrl_broken(void)
{
	return boot_cpu_data.x86 == 6 &&
	       (boot_cpu_data.x86_model == 37 || boot_cpu_data.x86_model == 44);
}

/* Errata of Westmere to early Ivy Bridge: the timer may count at the wrong rate (as AAK139). */
static bool preemption_timer_broken(void)
{
	u32 signature = cpuid_eax(1);

	return signature == 0x20652 || signature == 0x20655 || signature == 0x206c2 ||
	       signature == 0x306a8;
}

static void settle_preemption_timer(struct vmx_caps *c)
{
	c->preemption_timer = preemption_timer && c->pin & PIN_BASED_VMX_PREEMPTION_TIMER &&
			      !preemption_timer_broken();
	if (!c->preemption_timer)
		c->pin &= ~PIN_BASED_VMX_PREEMPTION_TIMER;
	c->preemption_timer_shift = vmx_misc_preemption_timer_rate(c->misc);
}

/* PERF_GLOBAL_CTRL is switched in both directions or not at all. */
static void settle_perf_global_ctrl(struct vmx_caps *c)
{
	if (c->exit & VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL &&
	    c->entry & VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL && !perf_global_ctrl_broken() &&
	    boot_cpu_has(X86_FEATURE_ARCH_PERFMON))
		return;
	c->exit &= ~VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL;
	c->entry &= ~VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL;
}

/* The APIC-virtualization controls are used together or not at all. */
static void settle_optional(struct vmx_caps *c)
{
	c->apicv = apicv && (c->secondary & VMX_APICV_CONTROLS) == VMX_APICV_CONTROLS;
	c->posted = posted_interrupts && c->apicv && c->pin & PIN_BASED_POSTED_INTR;
	/* each vCPU turns on the set of its APIC's mode (vmx/apicv.c) */
	c->pin &= ~PIN_BASED_POSTED_INTR;
	c->secondary &= ~VMX_APICV_CONTROLS;

	/* on while there are trackers */
	c->write_log = write_log && c->secondary & SECONDARY_EXEC_ENABLE_PML &&
		       c->ept_features & VMX_EPT_AD_BIT;
	c->secondary &= ~SECONDARY_EXEC_ENABLE_PML;

	/* on where a guest's TSC is not the host's */
	c->tsc_scaling = c->secondary & SECONDARY_EXEC_TSC_SCALING;
	c->secondary &= ~SECONDARY_EXEC_TSC_SCALING;

	/* on where the VMM steps */
	c->single_step = c->primary & CPU_BASED_MONITOR_TRAP_FLAG;
	c->primary &= ~CPU_BASED_MONITOR_TRAP_FLAG;

	c->vpid = vpid && c->secondary & SECONDARY_EXEC_ENABLE_VPID &&
		  c->vpid_features & VMX_VPID_INVVPID_BIT &&
		  c->vpid_features & VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT;
	if (!c->vpid)
		c->secondary &= ~SECONDARY_EXEC_ENABLE_VPID;
	settle_perf_global_ctrl(c);
	settle_preemption_timer(c);
}

static bool check_basic(u64 basic)
{
	vmx_caps.revision = vmx_basic_vmcs_revision_id(basic);
	if (vmx_basic_vmcs_size(basic) <= PAGE_SIZE && BASIC_MEMORY_TYPE(basic) == 6)
		return true;
	pr_err("unusable VMCS: %u bytes, memory type %u\n", vmx_basic_vmcs_size(basic),
	       BASIC_MEMORY_TYPE(basic));
	return false;
}

static bool check_ept(void)
{
	u64 features;

	if (!read_capability(MSR_IA32_VMX_EPT_VPID_CAP, &features))
		return false;
	vmx_caps.ept_features = (u32)features;
	vmx_caps.vpid_features = features >> 32;
	if ((vmx_caps.ept_features & EPT_NEEDED) == EPT_NEEDED)
		return true;
	pr_err("EPT lacks 4-level write-back tables or INVEPT (capabilities %#x)\n",
	       vmx_caps.ept_features);
	return false;
}

static bool check_processor(void)
{
	u64 control;

	if (boot_cpu_data.x86_vendor == X86_VENDOR_AMD ||
	    boot_cpu_data.x86_vendor == X86_VENDOR_HYGON) {
		pr_err("VHM needs Intel VMX; this is an AMD processor\n");
		return false;
	}
	if (!(cpuid_ecx(1) & BIT(5))) {
		pr_err("this processor has no VMX, or the hypervisor we run under hides it\n");
		return false;
	}
	if (rdmsrl_safe(MSR_IA32_FEAT_CTL, &control) || !(control & FEAT_CTL_LOCKED) ||
	    !(control & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX)) {
		pr_err("VMX is switched off by the firmware; enable \"Intel Virtualization Technology\" in its setup\n");
		return false;
	}
	if (!tsc_khz) {
		pr_err("the host does not know the frequency of its TSC\n");
		return false;
	}
	/* where a spinlock may sleep: some are taken with interrupts off, and in the scheduler */
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		pr_err("real-time kernels (PREEMPT_RT) are not supported\n");
		return false;
	}
#ifdef X86_FEATURE_FRED
	if (cpu_feature_enabled(X86_FEATURE_FRED)) {
		pr_err("event delivery by FRED is not supported; boot with fred=off\n");
		return false;
	}
#endif
	return true;
}

int vmx_caps_init(void)
{
	struct vmx_caps *c = &vmx_caps;
	u64 basic;

	if (!check_processor() || !read_capability(MSR_IA32_VMX_BASIC, &basic) ||
	    !check_basic(basic) || !adjust_controls(basic & BASIC_TRUE_CONTROLS) || !check_ept() ||
	    !read_capability(MSR_IA32_VMX_MISC, &c->misc) ||
	    !read_capability(MSR_IA32_VMX_CR0_FIXED0, &c->cr0_fixed0) ||
	    !read_capability(MSR_IA32_VMX_CR4_FIXED0, &c->cr4_fixed0) ||
	    !read_capability(MSR_IA32_VMX_CR4_FIXED1, &c->cr4_fixed1))
		return -ENODEV;
	/* unrestricted guest: PE and PG are free (SDM vol. 3, 24.8) */
	c->cr0_fixed0 &= ~(u64)(X86_CR0_PE | X86_CR0_PG);
	settle_optional(c);
	return 0;
}
