// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event injection: exceptions, NMIs and external interrupts into the guest.
 *
 * One event fits into an entry. v->injected is what the next entry delivers: first what an
 * exit interrupted (SDM vol. 3, 28.2.4, Information for VM Exits During Event Delivery), then
 * a queued exception, then an NMI, then an external interrupt; the rest waits for a window.
 */
#include "vmx.h"

#include "vhm/trace.h"

/* vectors with an error code: #DF #TS #NP #SS #GP #PF #AC (SDM vol. 3, table 6-1, 27.2.1.3) */
#define HAS_ERROR_CODE	(BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17))
/* contributory exceptions: two of them make a double fault (table 6-5) */
#define CONTRIBUTORY	(BIT(0) | BIT(10) | BIT(11) | BIT(12) | BIT(13))
#define PF_BIT		BIT(14)

/* what holds interrupts back for one instruction, IF set or not */
#define SHADOW		(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* INT3, INTO and INT1: RIP is at them, and the exception's frame behind (SDM vol. 3, 27.2.1.3). */
static u32 software_type(const struct vhm_event *e)
{
	if (e->vector == X86_TRAP_BP || e->vector == X86_TRAP_OF)
		return INTR_TYPE_SOFT_EXCEPTION;
	if (e->vector == X86_TRAP_DB && !(e->flags & VHM_EVENT_HAS_PAYLOAD))
		return INTR_TYPE_PRIV_SW_EXCEPTION;
	return 0;
}

static u32 exception_info(struct vmx_vcpu *v)
{
	const struct vhm_event *e = &v->exception;
	bool has_error = e->flags & VHM_EVENT_HAS_ERROR_CODE && vmx_read_cr0(v) & X86_CR0_PE;

	return INTR_INFO_VALID_MASK | e->vector | (software_type(e) ?: INTR_TYPE_HARD_EXCEPTION) |
	       (has_error ? INTR_INFO_DELIVER_CODE_MASK : 0);
}

/* A second exception while one is being delivered: SDM vol. 3, 6.15, Interrupt 8. */
static bool escalates(u32 first, u32 second)
{
	if (BIT(first) & CONTRIBUTORY)
		return BIT(second) & CONTRIBUTORY;
	return BIT(first) & PF_BIT && BIT(second) & (CONTRIBUTORY | PF_BIT);
}

void vmx_queue_exception(struct vmx_vcpu *v, u8 vector, bool has_error, u32 error)
{
	u32 type = v->injected & INTR_INFO_INTR_TYPE_MASK;

	if (v->injected && type == INTR_TYPE_HARD_EXCEPTION) {
		u32 first = v->injected & INTR_INFO_VECTOR_MASK;

		/* a third one ends it: the core sees it before the next entry */
		if (first == X86_TRAP_DF && BIT(vector) & (CONTRIBUTORY | PF_BIT)) {
			v->injected = 0;
			v->base.run_state = VHM_RUN_STATE_SHUTDOWN;
			return;
		}
		if (first < 32 && escalates(first, vector)) {
			vector = X86_TRAP_DF;
			has_error = true;
			error = 0;
		}
	} else if (v->injected) {
		/* the exception goes first; a software event is executed again */
		if (type == INTR_TYPE_NMI_INTR)
			atomic_add_unless(&v->base.nmi_pending, 1, 2);
		else if (type == INTR_TYPE_EXT_INTR)
			v->parked = v->injected;
	}
	v->injected = 0;
	v->exception = (struct vhm_event) {
		.flags = VHM_EVENT_VALID | (has_error ? VHM_EVENT_HAS_ERROR_CODE : 0),
		.vector = vector, .error_code = error,
	};
}

enum vmx_exit_outcome vmx_queue_gp(struct vmx_vcpu *v)
{
	vmx_queue_exception(v, X86_TRAP_GP, true, 0);
	return VMX_RESUME;
}

enum vmx_exit_outcome vmx_queue_ud(struct vmx_vcpu *v)
{
	vmx_queue_exception(v, X86_TRAP_UD, false, 0);
	return VMX_RESUME;
}

/**
 * vmx_exception_event() - an exception as user space is told of it
 * @info: its interruption information, of an exit or for an entry (SDM vol. 3, 25.8.3, 25.9.2)
 * @error_code: its error code, where @info says that there is one
 */
struct vhm_event vmx_exception_event(u32 info, u32 error_code)
{
	u32 vector = info & INTR_INFO_VECTOR_MASK;

	/* real mode pushes no error code, and yet the vector has one */
	return (struct vhm_event) {
		.flags = VHM_EVENT_VALID |
			 (BIT(vector & 31) & HAS_ERROR_CODE ? VHM_EVENT_HAS_ERROR_CODE : 0),
		.vector = vector,
		.error_code = info & INTR_INFO_DELIVER_CODE_MASK ? error_code : 0,
	};
}

/* #DB with what its delivery writes to DR6 */
struct vhm_event vmx_debug_event(u64 causes)
{
	return (struct vhm_event) {
		.flags = VHM_EVENT_VALID | VHM_EVENT_HAS_PAYLOAD,
		.vector = X86_TRAP_DB, .payload = causes,
	};
}

/* May user space inject this? The entry would fail otherwise (SDM vol. 3, 27.2.1.3). */
int vmx_check_exception(const struct vhm_event *event)
{
	bool has_error = event->flags & VHM_EVENT_HAS_ERROR_CODE;

	/* no guest has CET, and whether #CP takes a code depends on the processor */
	if (!(event->flags & VHM_EVENT_VALID) || event->reserved ||
	    event->flags & ~(VHM_EVENT_VALID | VHM_EVENT_HAS_ERROR_CODE | VHM_EVENT_HAS_PAYLOAD) ||
	    event->vector > 31 || event->vector == X86_TRAP_NMI || event->vector == X86_TRAP_CP ||
	    has_error != !!(BIT(event->vector) & HAS_ERROR_CODE) || event->error_code > 0xffff ||
	    (event->flags & VHM_EVENT_HAS_PAYLOAD && event->vector != X86_TRAP_PF &&
	     event->vector != X86_TRAP_DB))
		return -EINVAL;
	return 0;
}

int vmx_inject_exception(struct vhm_vcpu *vcpu, const struct vhm_event *event)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	if (vmx_check_exception(event))
		return -EINVAL;
	vmx_queue_exception(v, event->vector, event->flags & VHM_EVENT_HAS_ERROR_CODE,
			    event->error_code);
	if (v->exception.vector == event->vector) {	/* else it became a double fault */
		v->exception.flags = event->flags;
		v->exception.payload = event->payload;
	}
	return 0;
}

/* The side effects of delivery that the processor leaves to us: CR2, DR6, DR7.GD. */
static void deliver_payload(struct vmx_vcpu *v)
{
	const struct vhm_event *e = &v->exception;

	if (!(e->flags & VHM_EVENT_HAS_PAYLOAD))
		return;
	if (e->vector == X86_TRAP_PF) {
		v->cr2 = e->payload;
	} else {
		v->dr6 = (v->dr6 & ~0xfull) | (e->payload & DR6_CAUSES);
		/* delivery of #DB clears GD and BTF (17.2.4, 17.4.3) */
		vmx_write_dr7(v, vmx_read_dr7(v) & ~BIT_ULL(13));
		vmwrite(GUEST_IA32_DEBUGCTL, vmread(GUEST_IA32_DEBUGCTL) & ~(u64)DEBUGCTLMSR_BTF);
		v->debug_live = true;
	}
}

/* An instruction raised it: the entry must know its length (27.2.1.3). */
static bool is_software(u32 info)
{
	u32 type = info & INTR_INFO_INTR_TYPE_MASK;

	return type == INTR_TYPE_SOFT_INTR || type == INTR_TYPE_PRIV_SW_EXCEPTION ||
	       type == INTR_TYPE_SOFT_EXCEPTION;
}

static void write_injection(struct vmx_vcpu *v)
{
	vmwrite(VM_ENTRY_INTR_INFO_FIELD, v->injected);
	if (v->injected & INTR_INFO_DELIVER_CODE_MASK)
		vmwrite(VM_ENTRY_EXCEPTION_ERROR_CODE, v->injected_error);
	if (is_software(v->injected))
		vmwrite(VM_ENTRY_INSTRUCTION_LEN, v->injected_length);
	trace_vhm_inject(&v->base, v->injected, v->injected_error);
}

static bool interrupt_possible(struct vmx_vcpu *v)
{
	return vmx_rflags(v) & X86_EFLAGS_IF && !(vmread(GUEST_INTERRUPTIBILITY_INFO) & SHADOW);
}

/* They go on behind the instruction; what exited tells its length, prefixes included. */
static u32 software_length(struct vmx_vcpu *v, u32 vector)
{
	u32 info;

	if (v->facts.reason != EXIT_REASON_EXCEPTION_NMI)
		return 1;
	info = (u32)vmread(VM_EXIT_INTR_INFO);
	return (info & INTR_INFO_VECTOR_MASK) == vector ? vmx_insn_bytes(v) : 1;
}

/* Is the queued exception an instruction of unusual length? RIP is at it: it can run again. */
bool vmx_exception_runs_again(struct vmx_vcpu *v)
{
	return software_type(&v->exception) && software_length(v, v->exception.vector) != 1;
}

static void select_exception(struct vmx_vcpu *v)
{
	u32 vector = v->exception.vector;

	v->injected = exception_info(v);
	v->injected_error = v->exception.error_code;
	v->injected_length = software_type(&v->exception) ? software_length(v, vector) : 0;
	deliver_payload(v);
	/* a fault's frame has RF set (SDM vol. 3, 17.3.1.1) */
	if (vector != 1 && vector != 3 && vector != 4 && vector != 8 && vector != 18)
		vmx_set_rflags(v, vmx_rflags(v) | X86_EFLAGS_RF);
	v->exception.flags = 0;
	v->base.stats[VHM_STAT_INJECTED_EXCEPTIONS]++;
}

/* One more NMI is latched while one is in service, others are lost (SDM vol. 3, 6.7.1). */
static void select_nmi(struct vmx_vcpu *v)
{
	u64 blocking = vmread(GUEST_INTERRUPTIBILITY_INFO);

	if (!v->injected && !(blocking & (SHADOW | GUEST_INTR_STATE_NMI))) {
		v->injected = INTR_INFO_VALID_MASK | INTR_TYPE_NMI_INTR | X86_TRAP_NMI;
		v->base.stats[VHM_STAT_INJECTED_EXCEPTIONS]++;
		if (atomic_dec_and_test(&v->base.nmi_pending))
			return;
	}
	if (blocking & GUEST_INTR_STATE_NMI ||
	    (v->injected & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		atomic_cmpxchg(&v->base.nmi_pending, 2, 1);
	/* whether an STI shadow delays the NMI window is up to the processor (26.2) */
	vmx_set_primary(v, blocking & GUEST_INTR_STATE_STI ? CPU_BASED_INTR_WINDOW_EXITING :
							     CPU_BASED_NMI_WINDOW_EXITING, true);
}

/* Without virtual-interrupt delivery: the model's highest vector, by event injection. */
static void select_interrupt(struct vmx_vcpu *v)
{
	int vector = vhm_apic_deliverable(v->base.apic);

	if (vector >= 0 && !v->injected && interrupt_possible(v)) {
		vhm_apic_acknowledge(v->base.apic, vector);
		v->injected = INTR_INFO_VALID_MASK | INTR_TYPE_EXT_INTR | vector;
		v->base.stats[VHM_STAT_INJECTED_INTERRUPTS]++;
		vector = vhm_apic_deliverable(v->base.apic);
	}
	if (vector >= 0)
		vmx_set_primary(v, CPU_BASED_INTR_WINDOW_EXITING, true);
}

/*
 * Interrupts off, after vmx_apic_before_entry(). Decides what the entry delivers and which
 * windows to open for the rest.
 */
void vmx_inject_pending(struct vmx_vcpu *v)
{
	vhm_request_test_clear(&v->base, VHM_REQ_NMI);
	if (unlikely(v->control.flags & VHM_CONTROL_SINGLE_STEP))
		vmx_hold_interrupts(v);
	if (!v->injected && v->exception.flags & VHM_EVENT_VALID)
		select_exception(v);
	if (atomic_read(&v->base.nmi_pending))
		select_nmi(v);
	/* an acknowledged interrupt that an exception overtook, or that found IF clear */
	if (v->parked && !v->injected && interrupt_possible(v)) {
		v->injected = v->parked;
		v->parked = 0;
	}
	if (v->parked || v->base.irq_window_requested)
		vmx_set_primary(v, CPU_BASED_INTR_WINDOW_EXITING, true);
	if (!(v->secondary & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)) {
		select_interrupt(v);
		vhm_pv_eoi_offer(&v->base);
	}
	if (v->injected)
		write_injection(v);
}

/* The entry did not happen: v->injected stays for the next one, the VMCS forgets it. */
void vmx_cancel_injection(struct vmx_vcpu *v)
{
	if (v->injected)
		vmwrite(VM_ENTRY_INTR_INFO_FIELD, 0);
}

/*
 * RFLAGS or the shadow was written from outside: what an entry demands of them together
 * (SDM vol. 3, 27.3.1.4, 27.3.1.5).
 */
void vmx_settle_shadow(struct vmx_vcpu *v)
{
	u64 blocking = vmread(GUEST_INTERRUPTIBILITY_INFO), rflags = vmx_rflags(v), pending;

	if ((v->injected & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_EXT_INTR && v->injected) {
		v->parked = v->injected;
		v->injected = 0;
	}
	if (blocking & GUEST_INTR_STATE_STI && !(rflags & X86_EFLAGS_IF)) {
		blocking &= ~(u64)GUEST_INTR_STATE_STI;
		vmwrite(GUEST_INTERRUPTIBILITY_INFO, blocking);
	}
	if (!(blocking & SHADOW))
		return;
	pending = vmread(GUEST_PENDING_DBG_EXCEPTIONS) & ~BIT_ULL(14);
	if (rflags & X86_EFLAGS_TF && !(vmread(GUEST_IA32_DEBUGCTL) & DEBUGCTLMSR_BTF))
		pending |= BIT(14);
	vmwrite(GUEST_PENDING_DBG_EXCEPTIONS, pending);
}

/* An exit interrupted the delivery of an event: deliver it again (28.2.4). */
void vmx_requeue_interrupted(struct vmx_vcpu *v)
{
	u32 info = v->facts.idt_vectoring;

	/* same layout but for bit 12, which is undefined here (25.9.3) */
	v->injected = info & ~BIT(12);
	if (info & VECTORING_INFO_DELIVER_CODE_MASK)
		v->injected_error = (u32)vmread(IDT_VECTORING_ERROR_CODE);
	if (is_software(info))
		v->injected_length = vmx_insn_bytes(v);
	/* delivery blocked NMIs; injecting it again needs them unblocked (27.3.1.5) */
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		vmwrite(GUEST_INTERRUPTIBILITY_INFO,
			vmread(GUEST_INTERRUPTIBILITY_INFO) & ~(u64)GUEST_INTR_STATE_NMI);
}

bool vmx_irq_window_open(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	return !v->injected && !v->parked && !(v->exception.flags & VHM_EVENT_VALID) &&
	       interrupt_possible(v);
}

int vmx_inject_extint(struct vhm_vcpu *vcpu, u8 vector)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	if (!vmx_irq_window_open(vcpu))
		return -EBUSY;
	v->injected = INTR_INFO_VALID_MASK | INTR_TYPE_EXT_INTR | vector;
	v->base.stats[VHM_STAT_INJECTED_INTERRUPTS]++;
	if (vcpu->run_state == VHM_RUN_STATE_HALTED) {
		vcpu->run_state = VHM_RUN_STATE_RUNNABLE;
		set_bit(VHM_REQ_APIC, &vcpu->requests);	/* RVI may be behind IRR */
	}
	return 0;
}

/* For a halted vCPU: would anything wake it? */
bool vmx_has_deliverable_event(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	/* enabled breakpoint, single step, RTM: B0-B3 alone may be of disabled ones (25.4.2) */
	return v->injected || v->exception.flags & VHM_EVENT_VALID ||
	       vmread(GUEST_PENDING_DBG_EXCEPTIONS) & (BIT(12) | BIT(14) | BIT(16)) ||
	       (atomic_read(&vcpu->nmi_pending) &&
		!(vmread(GUEST_INTERRUPTIBILITY_INFO) & GUEST_INTR_STATE_NMI)) ||
	       (vmx_rflags(v) & X86_EFLAGS_IF &&
		(v->parked || vhm_apic_deliverable(vcpu->apic) >= 0));
}
