/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the run loop: /sys/kernel/tracing/events/vhm. Reasons and vectors are the
 * processor's numbers (SDM vol. 3, appendix C; 25.8.3).
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vhm

#if !defined(VHM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VHM_TRACE_H

#include <linux/tracepoint.h>
#include "vhm.h"

TRACE_EVENT(vhm_entry,
	TP_PROTO(const struct vhm_vcpu *vcpu),
	TP_ARGS(vcpu),
	TP_STRUCT__entry(__field(u32, vcpu_id)),
	TP_fast_assign(__entry->vcpu_id = vcpu->id;),
	TP_printk("vcpu %u", __entry->vcpu_id)
);

TRACE_EVENT(vhm_exit,
	TP_PROTO(const struct vhm_vcpu *vcpu, u32 reason, u64 rip),
	TP_ARGS(vcpu, reason, rip),
	TP_STRUCT__entry(__field(u32, vcpu_id) __field(u32, reason) __field(u64, rip)),
	TP_fast_assign(
		__entry->vcpu_id = vcpu->id;
		__entry->reason = reason;
		__entry->rip = rip;
	),
	TP_printk("vcpu %u reason %#x rip %#llx", __entry->vcpu_id, __entry->reason, __entry->rip)
);

TRACE_EVENT(vhm_ept_fault,
	TP_PROTO(const struct vhm_vcpu *vcpu, u64 gpa, u32 access, int result),
	TP_ARGS(vcpu, gpa, access, result),
	TP_STRUCT__entry(__field(u32, vcpu_id) __field(u32, access) __field(u64, gpa)
			 __field(int, result)),
	TP_fast_assign(
		__entry->vcpu_id = vcpu->id;
		__entry->access = access;
		__entry->gpa = gpa;
		__entry->result = result;
	),
	TP_printk("vcpu %u gpa %#llx access %#x result %d", __entry->vcpu_id, __entry->gpa,
		  __entry->access, __entry->result)
);

TRACE_EVENT(vhm_inject,
	TP_PROTO(const struct vhm_vcpu *vcpu, u32 info, u32 error_code),
	TP_ARGS(vcpu, info, error_code),
	TP_STRUCT__entry(__field(u32, vcpu_id) __field(u32, info) __field(u32, error_code)),
	TP_fast_assign(
		__entry->vcpu_id = vcpu->id;
		__entry->info = info;
		__entry->error_code = error_code;
	),
	TP_printk("vcpu %u vector %u type %u error %#x", __entry->vcpu_id, __entry->info & 0xff,
		  (__entry->info >> 8) & 7, __entry->error_code)
);

#endif /* VHM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH vhm
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
