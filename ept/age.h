/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Has the guest used a page lately? What the host's page reclaim asks. Inside ept/ only.
 */
#ifndef VHM_EPT_AGE_H
#define VHM_EPT_AGE_H

#include "ept/ept.h"

/**
 * ept_test_young - has the guest accessed a page of a range since it was made old?
 * @ept: the tables
 * @start: first page
 * @end: first page after the range
 *
 * A large leaf that lies in the range with a part counts as a whole.
 *
 * Context: any in which a spin lock may be taken; interrupts enabled.
 */
bool ept_test_young(struct ept *ept, gfn_t start, gfn_t end);

/**
 * ept_make_old - the same, and from now on it has not
 * @ept: the tables
 * @start: first page
 * @end: first page after the range
 *
 * Where the processor sets no accessed flags the leaves are removed, so that the next
 * access faults: if it is to do so even where a CPU has the translation cached, ept_flush().
 *
 * Context: as ept_test_young().
 */
bool ept_make_old(struct ept *ept, gfn_t start, gfn_t end);

#endif /* VHM_EPT_AGE_H */
