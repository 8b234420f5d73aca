// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has the guest used a page lately? By the accessed flags of the leaves (SDM vol. 3, 29.3.5,
 * Accessed and Dirty Flags for EPT); where the processor sets none, by whether there is a
 * leaf at all.
 *
 * Flags are cleared without a flush. A CPU that has the translation cached does not set the flag
 * again until it has walked the tables anew, so a page in use may look unused for a while. That
 * costs at worst a fault and breaks nothing, while a flush would stop every vCPU of the VM once
 * for each page that the host looks at. The host does the same with its own page tables.
 *
 * ept->lock alone keeps the tables where they are: who removes anything holds it. Faults go on
 * meanwhile and processors set flags, so entries change by atomic exchanges. Does not
 * know user addresses (notifier.c).
 */
#include "ept/table.h"

static bool is_young(const struct ept *ept, const struct ept_iter *iter)
{
	return ept_entry_is_leaf(iter->value, iter->level) && !(iter->value & EPT_ENTRY_FIXED) &&
	       (!ept->caps.accessed_dirty || iter->value & EPT_ENTRY_ACCESSED);
}

/* Is any page young? With @make_old none is afterwards. */
static bool any_young(struct ept *ept, gfn_t start, gfn_t end, bool make_old)
{
	struct ept_iter iter;
	bool young = false;

	spin_lock(&ept->lock);
	for_each_ept_entry(&iter, ept->root, start, end) {
		if (!is_young(ept, &iter))
			continue;
		young = true;
		if (!make_old)
			break;
		clear_bit(EPT_ENTRY_ACCESSED_BIT, (unsigned long *)iter.entry);
	}
	spin_unlock(&ept->lock);
	return young;
}

bool ept_test_young(struct ept *ept, gfn_t start, gfn_t end)
{
	return any_young(ept, start, end, false);
}

bool ept_make_old(struct ept *ept, gfn_t start, gfn_t end)
{
	/* once forgone the flags do not come back */
	if (!READ_ONCE(ept->caps.accessed_dirty))
		return ept_test_young(ept, start, end) && ept_zap_at_once(ept, start, end);
	return any_young(ept, start, end, true);
}
