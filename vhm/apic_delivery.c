// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC: delivery of interrupts between vCPUs and from messages (SDM vol. 3,
 * 10.6, Issuing Interprocessor Interrupts, and 10.11, Message Signalled Interrupts).
 *
 * Owns the sender's side: who is addressed, and the bits of vhm_apic.posted. Runs in
 * any context; the table of vCPUs is read under RCU. Of a target's registers it reads
 * SVR, LDR, DFR and LVTs, which may change at the same time: an interrupt that races
 * with the guest's change of its own APIC meets the old or the new value, as on a bus.
 *
 * Not modelled: SMI (there is no SMM) and ExtINT messages (an 8259A lives in the VMM
 * and uses VHM_RUN_INTERRUPT); both are accepted by nobody.
 */
#include "apic_internal.h"

/* ------------------------------------------------------------ acceptance -- */

/* Leave a vector (16-255) for the vCPU's thread, without waking it. */
static void pend(struct vhm_apic *apic, u32 vector, bool level)
{
	vector = array_index_nospec(vector, LAPIC_VECTORS);
	set_bit(vector, level ? apic->pending_level : apic->posted.pending);
	/* It is there before VHM_REQ_APIC is, whose reader then looks at it. */
	smp_mb__after_atomic();
}

/* A level-triggered vector is software's to take in: TMR and the EOI-exit bitmap go with it. */
static void raise(struct vhm_apic *apic, u32 vector, bool level)
{
	pend(apic, vector, level);
	if (level)
		vhm_vcpu_request(apic->vcpu, VHM_REQ_APIC);
	else
		vhm_backend->interrupt_posted(apic->vcpu);
}

/* An error bit for ESR, and the error interrupt (10.5.3, Error Handling) */
void lapic_error(struct vhm_apic *apic, u32 error)
{
	u32 lvt = lapic_get(apic, APIC_LVTERR);
	u32 vector = lvt & APIC_VECTOR_MASK;

	atomic_or(error, &apic->errors);
	if (lvt & APIC_LVT_MASKED)
		return;
	if (vector < LAPIC_FIRST_VECTOR)
		atomic_or(APIC_ESR_RECVILL, &apic->errors);
	else
		raise(apic, vector, false);
}

/* The source of this LVT entry, which has no delivery mode, fires. True: its vector pends. */
bool lapic_local_interrupt(struct vhm_apic *apic, u32 lvt)
{
	u32 value = lapic_get(apic, lvt);
	u32 vector = value & APIC_VECTOR_MASK;

	if (value & APIC_LVT_MASKED)
		return false;
	if (vector < LAPIC_FIRST_VECTOR) {
		lapic_error(apic, APIC_ESR_RECVILL);
		return false;
	}
	pend(apic, vector, false);
	return true;
}

/* Does it take fixed interrupts? While software-disabled, no (10.4.7.2). */
static bool takes_vectors(const struct vhm_apic *apic)
{
	return vhm_apic_mode(apic) != VHM_APIC_DISABLED && lapic_software_enabled(apic);
}

static bool accept(struct vhm_apic *apic, const struct vhm_interrupt *irq)
{
	struct vhm_vcpu *vcpu = apic->vcpu;

	if (vhm_apic_mode(apic) == VHM_APIC_DISABLED)
		return false;

	switch (irq->delivery_mode) {
	case APIC_DM_FIXED:
	case APIC_DM_LOWEST:
		if (!takes_vectors(apic))
			return false;
		if (irq->vector < LAPIC_FIRST_VECTOR) {
			lapic_error(apic, APIC_ESR_RECVILL);
			return false;
		}
		raise(apic, irq->vector, irq->level);
		return true;
	case APIC_DM_NMI:
		vhm_vcpu_nmi(vcpu);
		return true;
	case APIC_DM_INIT:
		clear_bit(VHM_REQ_SIPI, &vcpu->requests);	/* it came before: ignored */
		vhm_vcpu_request(vcpu, VHM_REQ_INIT);
		return true;
	case APIC_DM_STARTUP:
		WRITE_ONCE(vcpu->sipi_vector, irq->vector);
		/* before the request; pairs with the atomic that takes it */
		smp_wmb();
		vhm_vcpu_request(vcpu, VHM_REQ_SIPI);
		return true;
	default:
		return false;
	}
}

/* ------------------------------------------------------------- addresses -- */

/* Logical destination of 8 bits: flat or cluster model (10.6.2.2) */
static bool matches_xapic_logical(const struct vhm_apic *apic, u32 destination)
{
	u32 ldr = lapic_get(apic, APIC_LDR) >> 24;

	if (destination > 0xff)
		return false;
	switch (lapic_get(apic, APIC_DFR) >> 28) {
	case 0xf:	/* flat */
		return destination & ldr;
	case 0x0:	/* cluster; cluster 15 is all of them */
		if (destination >> 4 != 0xf && destination >> 4 != ldr >> 4)
			return false;
		return destination & ldr & 0xf;
	default:
		return false;
	}
}

/* Does this destination field, LAPIC_BROADCAST for all, address the APIC? */
static bool matches(const struct vhm_apic *apic, u32 destination, bool logical)
{
	u32 ldr;

	if (destination == LAPIC_BROADCAST)
		return true;
	if (!logical)
		return destination == apic->vcpu->id;
	if (vhm_apic_mode(apic) != VHM_APIC_X2APIC)
		return matches_xapic_logical(apic, destination);
	ldr = lapic_x2apic_ldr(apic->vcpu->id);
	return destination >> 16 == ldr >> 16 && destination & ldr & 0xffff;
}

/* Not for APIC_DEST_SELF, which needs no search; APIC_DEST_ALLINC is everybody. */
static bool addressed(const struct vhm_apic *apic, const struct vhm_apic *source,
		      const struct vhm_interrupt *irq)
{
	if (irq->shorthand == APIC_DEST_ALLBUT)
		return apic != source;
	return irq->shorthand || matches(apic, irq->destination, irq->logical);
}

static int deliver_all(struct vhm_vm *vm, struct vhm_apic *source, const struct vhm_interrupt *irq)
{
	struct vhm_vcpu *vcpu;
	unsigned long id;
	int accepted = 0;

	xa_for_each(&vm->vcpus, id, vcpu)
		if (addressed(vcpu->apic, source, irq))
			accepted += accept(vcpu->apic, irq);
	return accepted;
}

/*
 * Lowest priority: the processor of the set is picked by vector. A vector stays where
 * its data is cached, different vectors spread evenly, and nothing depends on timing.
 * (The bus may compare task priorities; software cannot rely on it, 10.6.2.4.)
 */
static int deliver_lowest(struct vhm_vm *vm, struct vhm_apic *source,
			  const struct vhm_interrupt *irq)
{
	struct vhm_vcpu *vcpu;
	unsigned long id;
	u32 candidates = 0, chosen;

	xa_for_each(&vm->vcpus, id, vcpu)
		candidates += takes_vectors(vcpu->apic) && addressed(vcpu->apic, source, irq);
	if (!candidates)
		return 0;
	chosen = irq->vector % candidates;

	xa_for_each(&vm->vcpus, id, vcpu)
		if (takes_vectors(vcpu->apic) && addressed(vcpu->apic, source, irq) && !chosen--)
			return accept(vcpu->apic, irq);
	return 0;	/* it was disabled meanwhile */
}

/**
 * vhm_apic_deliver - deliver an interrupt to all vCPUs it is addressed to
 * @vm: the VM
 * @source: APIC that sends it, NULL for a message from outside
 * @irq: the message
 *
 * A level de-assertion goes nowhere. A sender's illegal vector is its own error and
 * leaves it not at all (10.5.3).
 *
 * Context: any.
 * Return: how many vCPUs accepted it.
 */
int vhm_apic_deliver(struct vhm_vm *vm, struct vhm_apic *source, const struct vhm_interrupt *irq)
{
	bool lowest = irq->delivery_mode == APIC_DM_LOWEST;
	struct vhm_vcpu *vcpu;
	int accepted;

	if (irq->level && !irq->asserted)
		return 0;
	if (source && irq->vector < LAPIC_FIRST_VECTOR &&
	    (lowest || irq->delivery_mode == APIC_DM_FIXED)) {
		lapic_error(source, APIC_ESR_SENDILL);
		return 0;
	}
	if (irq->shorthand == APIC_DEST_SELF)
		return source ? accept(source, irq) : 0;

	rcu_read_lock();
	if (!irq->shorthand && !irq->logical && irq->destination != LAPIC_BROADCAST) {
		vcpu = vhm_vcpu_find(vm, irq->destination);
		accepted = vcpu ? accept(vcpu->apic, irq) : 0;
	} else if (lowest) {
		accepted = deliver_lowest(vm, source, irq);
	} else {
		accepted = deliver_all(vm, source, irq);
	}
	rcu_read_unlock();
	return accepted;
}

/* --------------------------------------------------------------- senders -- */

/**
 * lapic_send - send the interprocessor interrupt that ICR describes
 * @apic: sender
 * @icr: low half of ICR; the high half is in the page
 *
 * The trigger mode matters for INIT alone, where "level" with "de-assert" is a message
 * of old that nobody takes any more; all else is edge triggered (10.6.1).
 */
void lapic_send(struct vhm_apic *apic, u32 icr)
{
	bool init = (icr & APIC_DM_FIXED_MASK) == APIC_DM_INIT;
	struct vhm_interrupt irq = {
		.vector = icr & APIC_VECTOR_MASK, .delivery_mode = icr & APIC_DM_FIXED_MASK,
		.logical = icr & APIC_DEST_LOGICAL, .shorthand = icr & APIC_DEST_ALLBUT,
		.level = init && icr & APIC_INT_LEVELTRIG, .asserted = icr & APIC_INT_ASSERT,
	};

	if (vhm_apic_mode(apic) == VHM_APIC_X2APIC) {
		irq.destination = lapic_get(apic, LAPIC_ICR_HIGH_X2APIC);
	} else {
		irq.destination = lapic_get(apic, APIC_ICR2) >> 24;
		if (irq.destination == 0xff && !irq.logical)
			irq.destination = LAPIC_BROADCAST;
	}
	vhm_apic_deliver(apic->vcpu->vm, apic, &irq);
}

/* address and data of a message (10.11.1 and 10.11.2) */
#define MSI_ADDRESS_LOGICAL	BIT_ULL(2)
#define MSI_ADDRESS_REDIRECT	BIT_ULL(3)
#define MSI_ADDRESS_FIXED	0xfee00000ull
#define MSI_ADDRESS_FIXED_MASK	GENMASK_ULL(39, 20)
#define MSI_ADDRESS_EXTENDED	GENMASK_ULL(63, 40)	/* destination bits 31-8 */
#define MSI_DATA_ASSERT		BIT(14)
#define MSI_DATA_LEVEL		BIT(15)
#define MSI_DATA_RESERVED	(GENMASK(31, 16) | GENMASK(13, 11))

/**
 * vhm_apic_deliver_msi - deliver a message-signalled interrupt
 * @vm: the VM
 * @address: its address, see struct vhm_msi
 * @data: its data
 *
 * A redirection hint asks for one processor of the addressed set, as lowest-priority
 * delivery does.
 *
 * Context: any.
 * Return: how many vCPUs accepted it; -EINVAL if it is no interrupt message.
 */
int vhm_apic_deliver_msi(struct vhm_vm *vm, u64 address, u32 data)
{
	struct vhm_interrupt irq = {
		.destination = (address >> 12 & 0xff) | (address & MSI_ADDRESS_EXTENDED) >> 32,
		.vector = data & APIC_VECTOR_MASK, .delivery_mode = data & APIC_DM_FIXED_MASK,
		.logical = address & MSI_ADDRESS_LOGICAL,
		.level = data & MSI_DATA_LEVEL, .asserted = data & MSI_DATA_ASSERT,
	};

	if ((address & MSI_ADDRESS_FIXED_MASK) != MSI_ADDRESS_FIXED || data & MSI_DATA_RESERVED)
		return -EINVAL;
	if (irq.destination == 0xff && !irq.logical)
		irq.destination = LAPIC_BROADCAST;
	if (address & MSI_ADDRESS_REDIRECT && irq.delivery_mode == APIC_DM_FIXED)
		irq.delivery_mode = APIC_DM_LOWEST;
	return vhm_apic_deliver(vm, NULL, &irq);
}
