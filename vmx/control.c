// SPDX-License-Identifier: GPL-2.0-only
/*
 * Adjustment of VMX control fields: a pure function, tested by KUnit.
 */
#include "caps.h"

/*
 * SDM vol. 3, A.2, Reserved Controls and Default Settings: a control may be 0 if its bit
 * in the low half is 0, and 1 if its bit in the high half is 1.
 */
u32 vmx_adjust_controls(const struct vmx_control_request *request, u64 capability, u32 *out)
{
	u32 must_be_1 = (u32)capability;
	u32 may_be_1 = (u32)(capability >> 32);
	u32 missing = request->required & ~may_be_1;
	u32 forced = request->forbidden & must_be_1;

	*out = ((request->required | request->optional) & may_be_1) | must_be_1;
	return missing | forced;
}
