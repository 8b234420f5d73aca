/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Format of an EPT entry: pure functions, the only place that knows its bits.
 *
 * SDM vol. 3, 29.3.2, EPT Translation Mechanism: tables 29-1 (PML4 entry), 29-2 and 29-4
 * (1 GiB and 2 MiB page), 29-3 and 29-5 (entry that references a table) and 29-6
 * (4 KiB page). Includes no hardware header, takes no lock, touches no memory.
 */
#ifndef VHM_EPT_FORMAT_H
#define VHM_EPT_FORMAT_H

#include <linux/bits.h>
#include <linux/types.h>

#define EPT_ENTRY_READ		BIT_ULL(0)
#define EPT_ENTRY_WRITE		BIT_ULL(1)
#define EPT_ENTRY_EXECUTE	BIT_ULL(2)
#define EPT_ENTRY_RIGHTS	GENMASK_ULL(2, 0)
#define EPT_ENTRY_MEMORY_TYPE	GENMASK_ULL(5, 3)	/* leaf */
#define EPT_ENTRY_IGNORE_PAT	BIT_ULL(6)		/* leaf */
#define EPT_ENTRY_LARGE		BIT_ULL(7)		/* leaf at level 2 or 3 */
#define EPT_ENTRY_ACCESSED_BIT	8
#define EPT_ENTRY_ACCESSED	BIT_ULL(EPT_ENTRY_ACCESSED_BIT)	/* with accessed and dirty flags */
#define EPT_ENTRY_DIRTY		BIT_ULL(9)		/* leaf, likewise */
#define EPT_ENTRY_ADDRESS	GENMASK_ULL(51, 12)

/*
 * Ours, in a bit that the processor ignores in every kind of entry: a leaf of
 * ept_map_fixed(), and every entry on the way to it.
 */
#define EPT_ENTRY_FIXED		BIT_ULL(52)

/* Ours, too: a leaf that is not writable only because writes are tracked. */
#define EPT_ENTRY_TRACKED	BIT_ULL(53)

/*
 * Ours, too: entries at level 2 or 3 that reference a table only because writes are tracked, and
 * leaves on their way into such a table.
 */
#define EPT_ENTRY_SPLIT(level)	BIT_ULL(52 + (level))

/* Ours, too: a leaf that may not be executed only because it is larger than 4 KiB. */
#define EPT_ENTRY_SMALL_EXECUTE	BIT_ULL(59)

/* Memory types (SDM vol. 3, 12.3, Methods of Caching Available) */
#define EPT_MEMORY_UNCACHED		0
#define EPT_MEMORY_WRITE_COMBINING	1
#define EPT_MEMORY_WRITE_BACK		6

/* EPT pointer (SDM vol. 3, 25.6.11, Extended-Page-Table Pointer) */
#define EPT_POINTER_WALK_SHIFT		3	/* below is the memory type */
#define EPT_POINTER_ACCESSED_DIRTY	BIT_ULL(6)

#define EPT_TABLE_ENTRIES	512
#define EPT_INDEX_BITS		9

/* Pages that one entry at @level (1: 4 KiB page, 4: PML4 entry) spans. */
static inline u64 ept_level_pages(int level)
{
	return 1ULL << (EPT_INDEX_BITS * (level - 1));
}

static inline u64 ept_level_bytes(int level)
{
	return ept_level_pages(level) << 12;
}

/* The span of the entry at @level over page number @gfn lies in pages @first to @last. */
static inline bool ept_level_within(int level, u64 gfn, u64 first, u64 last)
{
	u64 offset_mask = ept_level_pages(level) - 1;

	return (gfn & ~offset_mask) >= first && (gfn | offset_mask) <= last;
}

/* Index of page number @gfn in its table of @level. */
static inline unsigned int ept_level_index(u64 gfn, int level)
{
	return (gfn >> (EPT_INDEX_BITS * (level - 1))) & (EPT_TABLE_ENTRIES - 1);
}

/*
 * Any right makes an entry present (29.3.2). The processor may write accessed
 * and dirty flags into present entries only, so an absent one is always 0.
 */
static inline bool ept_entry_present(u64 entry)
{
	return entry & EPT_ENTRY_RIGHTS;
}

static inline bool ept_entry_is_leaf(u64 entry, int level)
{
	return ept_entry_present(entry) && (level == 1 || (level <= 3 && entry & EPT_ENTRY_LARGE));
}

static inline bool ept_entry_is_table(u64 entry, int level)
{
	return ept_entry_present(entry) && !ept_entry_is_leaf(entry, level);
}

/* Rights of @entry include all of @wanted. */
static inline bool ept_entry_allows(u64 entry, u64 wanted)
{
	return (entry & wanted & EPT_ENTRY_RIGHTS) == (wanted & EPT_ENTRY_RIGHTS);
}

/* An entry that references the table at @hpa: all rights, the leaves decide. */
static inline u64 ept_entry_make_table(u64 hpa)
{
	return (hpa & EPT_ENTRY_ADDRESS) | EPT_ENTRY_RIGHTS;
}

/*
 * A leaf of RAM at @level. @rights without reading are for the caller to avoid where the
 * processor has no execute-only entries (29.3.3.1, EPT Misconfigurations). Write-back
 * whatever the guest's PAT says (29.3.7, EPT and
 * Memory Typing): the host caches these pages, and a guest's uncached mapping of
 * one would bypass its caches.
 */
static inline u64 ept_entry_make_leaf(u64 hpa, int level, u64 rights)
{
	return (hpa & EPT_ENTRY_ADDRESS) | (rights & EPT_ENTRY_RIGHTS) | EPT_ENTRY_IGNORE_PAT |
	       (EPT_MEMORY_WRITE_BACK << 3) | (level > 1 ? EPT_ENTRY_LARGE : 0);
}

/*
 * Memory type of a leaf whose page the host maps with @type of its PAT, where @memory: it is
 * memory and no device.
 *
 * The leaf has the type that the process's own mapping has: one page in two types is not supported
 * (12.12.4, Programming the PAT). But a leaf's type is all that counts (29.3.7), while the host's
 * is weakened by its MTRRs, and they may be all that keeps the host from caching a device (the
 * legacy VGA window is so). So of a device nothing is ever cached.
 */
static inline u64 ept_memory_type(u64 type, bool memory)
{
	if (type == EPT_MEMORY_WRITE_COMBINING || (memory && type != 7 /* UC- */))
		return type;
	return EPT_MEMORY_UNCACHED;
}

static inline u64 ept_entry_set_memory_type(u64 leaf, u64 type)
{
	return (leaf & ~EPT_ENTRY_MEMORY_TYPE) | type << 3;
}

/*
 * The leaf for piece number @index of the page that @leaf maps, one level below @level:
 * same rights and flags. Pages of 4 KiB may be executed where the leaf was too large for that;
 * written, if the processor logs that (@logs).
 */
static inline u64 ept_entry_split(u64 leaf, int level, unsigned int index, bool logs)
{
	u64 piece = leaf + index * ept_level_bytes(level - 1);

	if (level > 2)
		return piece;
	if (logs && piece & EPT_ENTRY_TRACKED)
		piece = (piece & ~EPT_ENTRY_TRACKED) | EPT_ENTRY_WRITE;
	if (piece & EPT_ENTRY_SMALL_EXECUTE)
		piece = (piece & ~EPT_ENTRY_SMALL_EXECUTE) | EPT_ENTRY_EXECUTE;
	return piece & ~EPT_ENTRY_LARGE;
}

/*
 * A leaf whose next write is noticed: by the dirty flag, if the processor logs writes (@logs), and
 * it is small enough; else by an EPT violation.
 */
static inline u64 ept_entry_track(u64 leaf, int level, bool logs)
{
	if (level == 1 && logs)
		return leaf & ~EPT_ENTRY_DIRTY;
	if (!(leaf & EPT_ENTRY_WRITE))
		return leaf;
	return (leaf & ~(EPT_ENTRY_WRITE | EPT_ENTRY_DIRTY)) | EPT_ENTRY_TRACKED;
}

static inline u64 ept_pointer_make(u64 root_hpa, int levels, bool accessed_dirty)
{
	return (root_hpa & EPT_ENTRY_ADDRESS) | (accessed_dirty ? EPT_POINTER_ACCESSED_DIRTY : 0) |
	       (u64)(levels - 1) << EPT_POINTER_WALK_SHIFT | EPT_MEMORY_WRITE_BACK;
}

#endif /* VHM_EPT_FORMAT_H */
