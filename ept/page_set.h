/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A set of guest-physical page numbers. Inside ept/ only.
 *
 * An xarray of chunks, each a bitmap of 4096 pages (16 MiB) with one bit for each of its words
 * that may have any; chunks that may have any carry a mark. So what it costs to find the
 * members depends on their number, not on the guest's size.
 *
 * Room is made before: adding neither allocates nor sleeps nor waits for those who take, in any
 * number of CPUs. A page for which no room was made is not remembered. Those who take exclude each
 * other by a lock of theirs, and so do those who make room.
 */
#ifndef VHM_EPT_PAGE_SET_H
#define VHM_EPT_PAGE_SET_H

#include "vhm/vhm.h"

#define EPT_SET_WORD_PAGES	64

struct ept_page_chunk;

/**
 * struct ept_page_set - a set of guest-physical page numbers
 * @chunks: struct ept_page_chunk by gfn >> 12; each lives as long as the set
 * @recent: of those who take, under their lock: the chunk that they found last, or NULL
 * @unmarked: a chunk may lack its mark, as the xarray was locked
 */
struct ept_page_set {
	struct xarray chunks;
	struct ept_page_chunk *recent;
	bool unmarked;
};

/* @set is zeroed. */
void ept_page_set_init(struct ept_page_set *set);
void ept_page_set_free(struct ept_page_set *set);

/**
 * ept_page_set_reserve - make room
 * @set: the set
 * @first: first page
 * @pages: how many, not zero
 *
 * May sleep. Memory is charged to the caller's cgroup.
 * Return: 0, -ENOMEM, -EINTR a signal kills the thread; room that was made stays.
 */
int ept_page_set_reserve(struct ept_page_set *set, gfn_t first, u64 pages);

/**
 * ept_page_set_add - add pages
 * @set: the set
 * @first: the first of 64 pages, a multiple of 64
 * @pages: bit n is page @first + n
 *
 * Any context but NMI; a full barrier before the pages can be taken.
 */
void ept_page_set_add(struct ept_page_set *set, gfn_t first, u64 pages);

/**
 * ept_page_set_take - take the next pages out
 * @set: the set
 * @gfn: where to begin to look, a multiple of 64; then where the pages are
 * @end: where to stop
 *
 * What is added afterwards is in the set again. Return: as @pages of ept_page_set_add(), of
 * @gfn; 0: there are none before @end.
 */
u64 ept_page_set_take(struct ept_page_set *set, gfn_t *gfn, gfn_t end);

#endif /* VHM_EPT_PAGE_SET_H */
