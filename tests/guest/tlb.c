// SPDX-License-Identifier: GPL-2.0-only
/*
 * TLB shootdowns: one thread changes the pages of a window all the time, the others load and store
 * there. What an access finds must be what the page table says at that moment: the right
 * frame, or a fault of the right kind.
 *
 * Each page of the window has a generation, odd while the changer is at it. An access counts only if
 * the generation was even and the same before and after. The changer alone writes struct page. A
 * stale translation is then an access that works though the page is gone, or reads another frame's
 * name, or stores where the frame's other mapping does not show it.
 */
#include "stress.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "hold.h"

#define PAGE		4096u
#define FILE_PAGES	12u		/* show frames of a file */
#define ANON_PAGES	4u		/* private memory, discarded at times */
#define PAGES		(FILE_PAGES + ANON_PAGES)
#define FRAMES		32u
#define MOST_AT_ONCE	4u
#define WORDS		(PAGE / sizeof(uint64_t))
#define FRAME_NAME	0xf7a3e00000000000ull
/* Far from where the kernel puts mappings by itself, as there will be holes. */
#define WINDOW		((uint8_t *)0x100000000000)
#define ERROR_WRITE	2u		/* of a page fault's error code */

enum access { UNMAPPED, NO_ACCESS, READ_ONLY, READ_WRITE };

static const int protections[] = {
	[NO_ACCESS] = PROT_NONE, [READ_ONLY] = PROT_READ, [READ_WRITE] = PROT_READ | PROT_WRITE,
};

static struct page {
	_Atomic uint32_t generation;
	_Atomic uint32_t access;	/* enum access */
	_Atomic uint32_t frame;		/* of a page of the file */
	_Atomic uint32_t discarded;	/* how many times, of private memory */
} pages[PAGES];

static uint64_t *frames;		/* all of the file, always mapped */
static int file;
static __thread struct probe {
	const void *address;
	int code;
	uint64_t error;
} caught;

/* -------------------------------------------------------------------- faults -- */

static void on_fault(int number, siginfo_t *info, void *argument)
{
	static const struct worker nobody = { .kind = &kind_tlb };
	ucontext_t *context = argument;
	uintptr_t rip = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];

	if (rip != (uintptr_t)probe_load_at && rip != (uintptr_t)probe_store_at)
		mismatch(&nobody, "signal %d at rip 0x%lx, address %p", number, rip, info->si_addr);
	caught.address = info->si_addr;
	caught.code = info->si_code;
	caught.error = (uint64_t)context->uc_mcontext.gregs[REG_ERR];
	context->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)probe_faulted;
}

/* ------------------------------------------------------------------- changer -- */

static uint8_t *address_of(unsigned int page)
{
	return WINDOW + page * PAGE;
}

/* To be read with the generation: what is there is changed only while that is odd. */
static void begin_change(unsigned int first, unsigned int count)
{
	unsigned int i;

	for (i = first; i < first + count; i++)
		atomic_fetch_add(&pages[i].generation, 1);
}

static void end_change(unsigned int first, unsigned int count)
{
	begin_change(first, count);
}

static void map_frames(struct worker *worker, unsigned int first, unsigned int count)
{
	uint32_t frame = (uint32_t)(next_random(&worker->random) % (FRAMES - MOST_AT_ONCE + 1));
	enum access access = 1 + next_random(&worker->random) % 3;
	unsigned int i;

	begin_change(first, count);
	must(worker, mmap(address_of(first), count * PAGE, protections[access],
			  MAP_SHARED | MAP_FIXED, file, frame * PAGE) == address_of(first), "mmap");
	for (i = 0; i < count; i++) {
		pages[first + i].access = access;
		pages[first + i].frame = frame + i + (inject(FAULT_TLB_FRAME) ? 1 : 0);
	}
	end_change(first, count);
}

static void unmap_frames(struct worker *worker, unsigned int first, unsigned int count)
{
	unsigned int i;

	begin_change(first, count);
	must(worker, !munmap(address_of(first), count * PAGE), "munmap");
	for (i = first; i < first + count; i++)
		pages[i].access = UNMAPPED;
	end_change(first, count);
}

static void protect(struct worker *worker, unsigned int page)
{
	enum access access = 1 + next_random(&worker->random) % 3;

	if (pages[page].access == UNMAPPED)
		return;
	begin_change(page, 1);
	if (access != NO_ACCESS || !inject(FAULT_TLB_PERMISSION))
		must(worker, !mprotect(address_of(page), PAGE, protections[access]), "mprotect");
	if (access != NO_ACCESS || !inject(FAULT_TLB_SPURIOUS))
		pages[page].access = access;
	end_change(page, 1);
}

/* The page's frame appears at another address and is gone from its own. */
static void move(struct worker *worker, unsigned int from, unsigned int to)
{
	if (pages[from].access == UNMAPPED || from == to)
		return;
	begin_change(from, 1);
	begin_change(to, 1);
	must(worker, mremap(address_of(from), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			    address_of(to)) == address_of(to), "mremap");
	pages[to].access = pages[from].access;
	pages[to].frame = pages[from].frame;
	pages[from].access = UNMAPPED;
	end_change(to, 1);
	end_change(from, 1);
}

/* Frames of the file come back with the next access; private memory is zero then. */
static void discard(struct worker *worker, unsigned int page)
{
	if (pages[page].access == UNMAPPED)
		return;
	begin_change(page, 1);
	if (!inject(FAULT_TLB_DISCARD))
		must(worker, !madvise(address_of(page), PAGE, MADV_DONTNEED), "madvise");
	pages[page].discarded++;
	end_change(page, 1);
}

static void change_pages(struct worker *worker)
{
	while (!stopping()) {
		uint64_t random = next_random(&worker->random);
		unsigned int count = 1 + random % MOST_AT_ONCE;
		unsigned int first = (random >> 8) % (FILE_PAGES - count + 1);
		unsigned int page = (random >> 16) % PAGES;

		switch ((random >> 24) % 6) {
		case 0:
		case 1:
			map_frames(worker, first, count);
			break;
		case 2:
			unmap_frames(worker, first, count);
			break;
		case 3:
			protect(worker, page);
			break;
		case 4:
			move(worker, first, page % FILE_PAGES);
			break;
		default:
			discard(worker, page);
		}
		done(worker);
		/* Time in which pages stand still. */
		if (random >> 63)
			sched_yield();
	}
}

/* ----------------------------------------------------------------- accessors -- */

/* What an accessor knows of its own word in a page of private memory. */
struct memory {
	bool known;
	uint32_t discarded;
	uint64_t value;
};

static void check_fault(struct worker *worker, unsigned int page, enum access access, bool write,
			bool faulted)
{
	const uint8_t *address = address_of(page);
	int code = access == UNMAPPED ? SEGV_MAPERR : SEGV_ACCERR;
	bool wanted = access < READ_ONLY || (write && access == READ_ONLY);

	if (faulted != wanted)
		mismatch(worker, "%s page %u, access %d, %s", write ? "store to" : "load from", page,
			 access, faulted ? "faults" : "does not fault");
	if (!faulted)
		return;
	if ((uintptr_t)caught.address / PAGE != (uintptr_t)address / PAGE || caught.code != code ||
	    !(caught.error & ERROR_WRITE) != !write)
		mismatch(worker, "fault at %p, code %d, error 0x%llx instead of page %p, code %d",
			 caught.address, caught.code, (unsigned long long)caught.error, address, code);
}

/* The first word names the frame, the others are the accessors' own. */
static void check_file_page(struct worker *worker, unsigned int page, uint32_t frame, bool write,
			    uint64_t loaded, uint64_t stored)
{
	uint64_t seen = frames[frame * WORDS + worker->index];

	if (!write && loaded != (FRAME_NAME | frame))
		mismatch(worker, "page %u shows 0x%llx, not frame %u", page,
			 (unsigned long long)loaded, frame);
	if (write && inject(FAULT_TLB_STORE))
		seen = ~seen;
	if (write && seen != stored)
		mismatch(worker, "0x%llx stored to page %u, frame %u has 0x%llx",
			 (unsigned long long)stored, page, frame, (unsigned long long)seen);
}

static void check_private_page(struct worker *worker, unsigned int page, struct memory *memory,
			       uint32_t discarded, bool write, uint64_t loaded, uint64_t stored)
{
	uint64_t wanted = memory->discarded == discarded ? memory->value : 0;

	if (!write && memory->known && loaded != wanted)
		mismatch(worker, "private page %u has 0x%llx instead of 0x%llx, discarded %u and %u",
			 page, (unsigned long long)loaded, (unsigned long long)wanted,
			 memory->discarded, discarded);
	memory->known = true;
	memory->discarded = discarded;
	memory->value = write ? stored : loaded;
}

/* One access to one page. Does not count if the page was changed meanwhile. */
static bool access_page(struct worker *worker, struct memory *memories)
{
	uint64_t random = next_random(&worker->random), loaded = 0, faulted;
	unsigned int page = random % PAGES;
	bool private = page >= FILE_PAGES, write = random >> 63;
	struct memory *memory = &memories[private ? page - FILE_PAGES : 0];
	uint32_t generation = pages[page].generation;
	enum access access = pages[page].access;
	uint32_t frame = pages[page].frame, discarded = pages[page].discarded;
	uint64_t *word = (uint64_t *)address_of(page) + (private || write ? worker->index : 0);
	bool stable;

	if (write)
		probe_store(word, random, &faulted);
	else
		loaded = probe_load(word, &faulted);
	/* Before the frame's other mapping is looked at: it may show a later store only of ours. */
	stable = !(generation & 1) && pages[page].generation == generation;
	if (!stable) {
		if (private && write)
			memory->known = false;
		return false;
	}
	check_fault(worker, page, access, write, faulted);
	if (faulted)
		return true;
	if (private)
		check_private_page(worker, page, memory, discarded, write, loaded, random);
	else
		check_file_page(worker, page, frame, write, loaded, random);
	return true;
}

/* -------------------------------------------------------------------- the kind -- */

static void tlb_prepare(struct worker *workers, unsigned int count)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	unsigned int i;

	(void)count;
	file = memfd_create("frames", MFD_CLOEXEC);
	must(workers, file >= 0 && !ftruncate(file, FRAMES * PAGE), "memfd_create");
	frames = mmap(NULL, FRAMES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	must(workers, frames != MAP_FAILED, "mmap");
	for (i = 0; i < FRAMES; i++)
		frames[i * WORDS] = FRAME_NAME | i;
	must(workers, mmap(WINDOW, PAGES * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == WINDOW, "mmap");
	for (i = 0; i < PAGES; i++)
		pages[i].access = READ_WRITE;
	unmap_frames(workers, 0, FILE_PAGES);
	must(workers, !sigaction(SIGSEGV, &action, NULL) && !sigaction(SIGBUS, &action, NULL),
	     "sigaction");
}

static unsigned int tlb_workers(unsigned int cpus)
{
	return cpus + 1;
}

static void tlb_run(struct worker *worker)
{
	struct memory memories[ANON_PAGES];

	if (worker->index == 0) {
		change_pages(worker);
		return;
	}
	memset(memories, 0, sizeof(memories));
	pin(worker, worker->index - 1);
	while (!stopping())
		if (access_page(worker, memories))
			done(worker);
}

const struct kind kind_tlb = {
	.name = "tlb",
	.workers = tlb_workers,
	.prepare = tlb_prepare,
	.run = tlb_run,
};
