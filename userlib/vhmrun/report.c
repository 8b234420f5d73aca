// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What went on in the guest. See report.h.
 */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "message.h"

#define CODE_BYTES	16
#define LINE_BYTES	256

/* ------------------------------------------------------------------- exits -- */

static void describe_io(const struct vhm_exit_io *io, char *line)
{
	const char *name = io->flags & VHM_IO_IN ? "in" : "out";

	if (io->flags & VHM_IO_STRING)
		snprintf(line, LINE_BYTES, "%s%ss port 0x%x, %u bytes, linear 0x%" PRIx64,
			 io->flags & VHM_IO_REP ? "rep " : "", name, io->port, io->bytes,
			 (uint64_t)io->linear_address);
	else if (io->flags & VHM_IO_IN)
		snprintf(line, LINE_BYTES, "in port 0x%x, %u bytes", io->port, io->bytes);
	else
		snprintf(line, LINE_BYTES, "out port 0x%x, %u bytes, value 0x%x", io->port,
			 io->bytes, io->data);
}

static void describe_mmio(const struct vhm_exit_mmio *mmio, char *line)
{
	snprintf(line, LINE_BYTES, "%s%s%s%s%s at 0x%" PRIx64 ", linear 0x%" PRIx64,
		 mmio->flags & VHM_MMIO_READ ? "read " : "",
		 mmio->flags & VHM_MMIO_WRITE ? "write " : "",
		 mmio->flags & VHM_MMIO_FETCH ? "fetch " : "",
		 mmio->flags & VHM_MMIO_WALK ? "by the page walk " : "",
		 mmio->flags & VHM_MMIO_APIC ? "of the local APIC" : "",
		 (uint64_t)mmio->gpa, (uint64_t)mmio->linear_address);
}

static void describe_entry_failure(const struct vhm_exit_entry_failed *failed, char *line)
{
	static const char *const kinds[] = {
		[VHM_ENTRY_FAILURE_INSTRUCTION] = "VM-instruction error",
		[VHM_ENTRY_FAILURE_GUEST_STATE] = "invalid guest state, qualification",
		[VHM_ENTRY_FAILURE_MSR_LOADING] = "MSR loading, entry",
		[VHM_ENTRY_FAILURE_MACHINE_CHECK] = "machine check, code",
	};
	const char *kind = "unknown kind, code";

	if (failed->kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[failed->kind])
		kind = kinds[failed->kind];
	snprintf(line, LINE_BYTES, "%s %" PRIu64, kind, (uint64_t)failed->code);
}

static void describe(const struct vhm_run *run, char *line)
{
	*line = '\0';
	switch (run->exit_reason) {
	case VHM_EXIT_IO:
		describe_io(&run->io, line);
		break;
	case VHM_EXIT_MMIO:
		describe_mmio(&run->mmio, line);
		break;
	case VHM_EXIT_MSR:
		snprintf(line, LINE_BYTES, "%s 0x%x, value 0x%" PRIx64,
			 run->msr.flags & VHM_MSR_WRITE ? "write" : "read", run->msr.index,
			 (uint64_t)run->msr.value);
		break;
	case VHM_EXIT_EOI:
		snprintf(line, LINE_BYTES, "vector %u", run->eoi.vector);
		break;
	case VHM_EXIT_EXCEPTION:
		snprintf(line, LINE_BYTES, "vector %u, error code 0x%x", run->exception.vector,
			 run->exception.error_code);
		break;
	case VHM_EXIT_MEMORY_FAULT:
		snprintf(line, LINE_BYTES, "at 0x%" PRIx64 ": the host has no page: %s",
			 (uint64_t)run->memory_fault.gpa,
			 strerror((int)run->memory_fault.error));
		break;
	case VHM_EXIT_ENTRY_FAILED:
		describe_entry_failure(&run->entry_failed, line);
		break;
	}
}

void report_exit(struct vhm_vcpu *vcpu)
{
	const struct vhm_run *run = vhm_vcpu_run_page(vcpu);
	char line[LINE_BYTES];

	describe(run, line);
	message("vCPU %u at 0x%" PRIx64 ": %s %s", vhm_vcpu_id(vcpu), (uint64_t)run->regs.rip,
		vhm_exit_name(run->exit_reason), line);
}

/* ------------------------------------------------------------------- state -- */

static void report_registers(const struct vhm_registers *r)
{
	message_raw("  RIP %016" PRIx64 "  RSP %016" PRIx64 "  RFLAGS %016" PRIx64 "\n"
		    "  RAX %016" PRIx64 "  RBX %016" PRIx64 "  RCX %016" PRIx64 "\n"
		    "  RDX %016" PRIx64 "  RSI %016" PRIx64 "  RDI %016" PRIx64 "\n"
		    "  RBP %016" PRIx64 "  R8  %016" PRIx64 "  R9  %016" PRIx64 "\n"
		    "  R10 %016" PRIx64 "  R11 %016" PRIx64 "  R12 %016" PRIx64 "\n"
		    "  R13 %016" PRIx64 "  R14 %016" PRIx64 "  R15 %016" PRIx64 "\n",
		    (uint64_t)r->rip, (uint64_t)r->rsp, (uint64_t)r->rflags,
		    (uint64_t)r->rax, (uint64_t)r->rbx, (uint64_t)r->rcx,
		    (uint64_t)r->rdx, (uint64_t)r->rsi, (uint64_t)r->rdi,
		    (uint64_t)r->rbp, (uint64_t)r->r8, (uint64_t)r->r9,
		    (uint64_t)r->r10, (uint64_t)r->r11, (uint64_t)r->r12,
		    (uint64_t)r->r13, (uint64_t)r->r14, (uint64_t)r->r15);
}

static void report_sregisters(const struct vhm_sregisters *s)
{
	static const char *const names[8] = { "ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR" };
	unsigned int i;

	message_raw("  CR0 %016" PRIx64 "  CR2 %016" PRIx64 "  CR3 %016" PRIx64 "\n"
		    "  CR4 %016" PRIx64 "  CR8 %016" PRIx64 "  EFER %016" PRIx64 "\n"
		    "  APIC base %016" PRIx64 "\n",
		    (uint64_t)s->cr0, (uint64_t)s->cr2, (uint64_t)s->cr3, (uint64_t)s->cr4,
		    (uint64_t)s->cr8, (uint64_t)s->efer, (uint64_t)s->apic_base);
	for (i = 0; i < 8; i++)
		message_raw("  %-4s %04x base %016" PRIx64 " limit %08x rights %05x\n", names[i],
			    s->segment[i].selector, (uint64_t)s->segment[i].base,
			    s->segment[i].limit, s->segment[i].access_rights);
	message_raw("  GDTR      base %016" PRIx64 " limit %08x\n"
		    "  IDTR      base %016" PRIx64 " limit %08x\n",
		    (uint64_t)s->gdt.base, s->gdt.limit, (uint64_t)s->idt.base, s->idt.limit);
}

/* The bytes at RIP, as far as they can be read. */
static void report_code(struct vhm_vcpu *vcpu, uint64_t linear)
{
	struct vhm_vm *vm = vhm_vcpu_vm(vcpu);
	struct vhm_translation translation;
	struct vhm_paging paging;
	char line[LINE_BYTES];
	size_t used = 0;
	unsigned int i;
	uint8_t byte;

	if (vhm_vcpu_get_paging(vcpu, &paging))
		return;
	*line = '\0';
	for (i = 0; i < CODE_BYTES; i++) {
		if (vhm_translate(vm, &paging, linear + i, VHM_ACCESS_DEBUG, &translation) ||
		    vhm_vm_read(vm, translation.gpa, &byte, 1))
			break;
		used += (size_t)snprintf(line + used, sizeof(line) - used, " %02x", byte);
	}
	message_raw("  code at %016" PRIx64 ":%s\n", linear, i ? line : " not readable");
}

void report_crash(struct vhm_vcpu *vcpu, int error)
{
	const struct vhm_run *run = vhm_vcpu_run_page(vcpu);
	struct vhm_sregisters sregs;
	char line[LINE_BYTES];

	describe(run, line);
	if (error)
		message("vCPU %u cannot go on: %s", vhm_vcpu_id(vcpu),
			vhm_explain(VHM_STEP_RUN, error));
	else if (run->exit_reason == VHM_EXIT_SHUTDOWN)
		message("vCPU %u: the guest crashed: triple fault", vhm_vcpu_id(vcpu));
	message_raw("  exit: %s %s\n  processor's exit reason %u, qualification 0x%" PRIx64 "\n",
		    vhm_exit_name(run->exit_reason), line, run->hardware_reason & 0xffff,
		    (uint64_t)run->hardware_qualification);
	report_registers(&run->regs);
	if (vhm_vcpu_get_sregisters(vcpu, &sregs))
		return;
	report_sregisters(&sregs);
	/* Outside 64-bit mode code lies at CS base + RIP; in it the base is zero anyway. */
	report_code(vcpu, sregs.segment[VHM_SEGMENT_CS].base + run->regs.rip);
}

void report_stats(struct vhm_vcpu *vcpu)
{
	static const char *const names[VHM_STAT_COUNT] = {
		[VHM_STAT_EXITS] = "exits in all",
		[VHM_STAT_USER_EXITS] = "exits to this program",
		[VHM_STAT_EXIT_INTERRUPT] = "exits: host interrupts",
		[VHM_STAT_EXIT_NMI] = "exits: NMIs, exceptions",
		[VHM_STAT_EXIT_IRQ_WINDOW] = "exits: interrupt window",
		[VHM_STAT_EXIT_CPUID] = "exits: CPUID",
		[VHM_STAT_EXIT_HLT] = "exits: HLT",
		[VHM_STAT_EXIT_IO] = "exits: ports",
		[VHM_STAT_EXIT_MSR] = "exits: MSRs",
		[VHM_STAT_EXIT_CR] = "exits: control registers",
		[VHM_STAT_EXIT_EPT] = "exits: EPT",
		[VHM_STAT_EXIT_APIC] = "exits: local APIC",
		[VHM_STAT_EXIT_HYPERCALL] = "exits: hypercalls",
		[VHM_STAT_EXIT_PREEMPTION_TIMER] = "exits: preemption timer",
		[VHM_STAT_EXIT_PAUSE] = "exits: loops of PAUSE",
		[VHM_STAT_EXIT_OTHER] = "exits: others",
		[VHM_STAT_PAGES_MAPPED] = "pages mapped",
		[VHM_STAT_INJECTED_INTERRUPTS] = "interrupts injected",
		[VHM_STAT_INJECTED_EXCEPTIONS] = "exceptions injected",
		[VHM_STAT_TLB_FLUSHES] = "TLB flushes",
		[VHM_STAT_HALT_NS] = "time halted, ns",
		[VHM_STAT_PAGES_MAPPED_2M] = "pages mapped: 2 MiB",
		[VHM_STAT_PAGES_MAPPED_1G] = "pages mapped: 1 GiB",
	};
	struct vhm_stats stats;
	unsigned int i;

	if (vhm_vcpu_get_stats(vcpu, &stats))
		return;
	message("vCPU %u:", vhm_vcpu_id(vcpu));
	for (i = 0; i < VHM_STAT_COUNT; i++)
		message_raw("  %-26s %12" PRIu64 "\n", names[i], (uint64_t)stats.count[i]);
}
