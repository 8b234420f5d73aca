// SPDX-License-Identifier: GPL-2.0-only
/*
 * APIC virtualization (SDM vol. 3, chapter 30): which of it is on in which mode of the
 * guest's local APIC, and what an entry must know of the model.
 *
 *   xAPIC	APIC accesses and APIC-register virtualization on the APIC-access page
 *   x2APIC	virtualized x2APIC MSRs
 *   both	virtual-interrupt delivery
 *   without	TPR shadow and threshold
 *
 * The register page of vhm/apic.c is the virtual-APIC page.
 */
#include "vmx.h"

#include <asm/apicdef.h>
#include <asm/irq_vectors.h>

void vmx_apicv_vcpu_init(struct vmx_vcpu *v)
{
	vmwrite(VIRTUAL_APIC_PAGE_ADDR, __pa(v->base.apic->regs));
	if (vmx_caps.apicv)
		vmwrite(APIC_ACCESS_ADDR, __pa(to_vmx_vm(v->base.vm)->apic_access_page));
	if (vmx_caps.posted) {
		vmwrite(POSTED_INTR_DESC_ADDR, __pa(&v->base.apic->posted));
		vmwrite(POSTED_INTR_NV, POSTED_INTR_VECTOR);
	}
}

/*
 * x2APIC: reads from the page, and writes of TPR, EOI and self-IPI, need no exit (30.5). The 64
 * MSRs are one word in each half of the bitmap.
 */
static void intercept_x2apic(struct vmx_vcpu *v, bool virtualized)
{
	u64 read = 0, write = 0;

	if (virtualized) {
		read = vhm_apic_plain_registers() | BIT_ULL(APIC_TASKPRI >> 4);
		write = BIT_ULL(APIC_TASKPRI >> 4) | BIT_ULL(APIC_EOI >> 4) |
			BIT_ULL(APIC_SELF_IPI >> 4);
	}
	v->msr_bitmap[VMX_X2APIC_MSR(0) / BITS_PER_LONG] = ~read;
	v->msr_bitmap[(VMX_X2APIC_MSR(0) + VMX_MSR_BITMAP_WRITE) / BITS_PER_LONG] = ~write;
}

/* The VMCS is current. */
void vmx_apic_mode_changed(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	enum vhm_apic_mode mode = vhm_apic_mode(vcpu->apic);
	u32 secondary = v->secondary & ~VMX_APICV_CONTROLS, pin = v->pin & ~PIN_BASED_POSTED_INTR;
	bool x2apic = mode == VHM_APIC_X2APIC;

	if (vmx_caps.apicv && mode != VHM_APIC_DISABLED)
		secondary |= SECONDARY_EXEC_APIC_REGISTER_VIRT |
			     SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY |
			     (x2apic ? SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE :
				       SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
	/* accesses to the page are tagged in translations: the mode's change drops them */
	if (secondary != v->secondary) {
		v->vpid_stale = true;
		v->ept_generation = 0;
	}
	v->secondary = secondary;
	vmwrite(SECONDARY_VM_EXEC_CONTROL, secondary);
	/* with virtual-interrupt delivery alone (27.2.1.1) */
	if (vmx_caps.posted && mode != VHM_APIC_DISABLED)
		pin |= PIN_BASED_POSTED_INTR;
	WRITE_ONCE(v->pin, pin);
	vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin);
	intercept_x2apic(v, x2apic && vmx_caps.apicv);
	vmx_apic_state_changed(vcpu);
}

/* The model's IRR or ISR was written from outside: the processor's copies follow. */
void vmx_apic_state_changed(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	if (!(v->secondary & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY))
		return;
	vmwrite(GUEST_INTR_STATUS, max(vhm_apic_highest(vcpu->apic, APIC_IRR), 0) |
				   max(vhm_apic_highest(vcpu->apic, APIC_ISR), 0) << 8);
	bitmap_fill(v->eoi_exit_bitmap, 256);	/* differs from any real one: written next */
	set_bit(VHM_REQ_APIC, &vcpu->requests);
}

static void write_eoi_exit_bitmap(struct vmx_vcpu *v)
{
	DECLARE_BITMAP(level, 256);

	vhm_apic_level_vectors(v->base.apic, level);
	if (bitmap_equal(level, v->eoi_exit_bitmap, 256))
		return;
	bitmap_copy(v->eoi_exit_bitmap, level, 256);
	for (int i = 0; i < 4; i++)
		vmwrite(EOI_EXIT_BITMAP0 + 2 * i, level[i]);
}

/* RVI: the highest requested vector; the processor compares it with the guest's PPR. */
static void write_rvi(struct vmx_vcpu *v)
{
	int irr = max(vhm_apic_highest(v->base.apic, APIC_IRR), 0);
	u64 status = vmread(GUEST_INTR_STATUS);

	if ((status & 0xff) == irr)
		return;
	vmwrite(GUEST_INTR_STATUS, (status & ~0xffull) | irr);
	v->base.stats[VHM_STAT_INJECTED_INTERRUPTS]++;
}

/* Exit when the guest lowers its TPR far enough for the highest pending vector (30.1.2). */
static void write_tpr_threshold(struct vmx_vcpu *v)
{
	int irr = vhm_apic_highest(v->base.apic, APIC_IRR);
	u32 class = irr < 0 ? 0 : irr >> 4;
	u32 tpr = vhm_apic_get_cr8(v->base.apic);

	vmwrite(TPR_THRESHOLD, class && class <= tpr ? class : 0);
}

/*
 * A CPU that runs the guest takes the vectors in by itself when it is notified (30.6). One that
 * leaves the guest before the notification comes finds VHM_POSTED_NOTIFIED at its next entry,
 * or before it sleeps.
 */
void vmx_interrupt_posted(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	bool notified;
	int cpu;

	if (!(READ_ONCE(v->pin) & PIN_BASED_POSTED_INTR)) {
		vhm_vcpu_request(vcpu, VHM_REQ_APIC);
		return;
	}
	/*
	 * The vector is there already. First the bit, which the next entry looks at, then where
	 * the vCPU is (full barrier; pairs with smp_store_mb() of the mode): where it was may be
	 * the past.
	 */
	if (test_and_set_bit(VHM_POSTED_NOTIFIED, &vcpu->apic->posted.control))
		return;
	preempt_disable();
	cpu = READ_ONCE(vcpu->cpu);
	notified = READ_ONCE(vcpu->mode) == VHM_IN_GUEST && cpu >= 0 &&
		   cpu != smp_processor_id() && cpu_online(cpu);
	if (notified)
		vhm_send_ipi(cpu, POSTED_INTR_VECTOR);
	preempt_enable();
	if (!notified)
		vhm_vcpu_request(vcpu, VHM_REQ_APIC);
}

/* Interrupts off, mode IN_GUEST: take over what senders and the timer left. */
void vmx_apic_before_entry(struct vmx_vcpu *v)
{
	bool virtual_delivery = v->secondary & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;

	if (READ_ONCE(v->base.requests) & BIT(VHM_REQ_APIC) || vhm_apic_notified(v->base.apic) ||
	    vhm_tsc_passed(v->base.apic->timer_target_tsc)) {
		vhm_request_test_clear(&v->base, VHM_REQ_APIC);
		vhm_apic_sync(v->base.apic);
		if (virtual_delivery) {
			write_rvi(v);
			write_eoi_exit_bitmap(v);
		}
	}
	if (!virtual_delivery)
		write_tpr_threshold(v);
}
