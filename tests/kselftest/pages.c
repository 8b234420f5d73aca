// SPDX-License-Identifier: GPL-2.0-only
/* A guest that goes over its pages, and large pages of the host's. See pages.h. */
#define _GNU_SOURCE
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ------------------------------------------------------------------- host -- */

uint8_t *map_aligned(size_t bytes, size_t offset)
{
	uint8_t *room = mmap(NULL, bytes + 2 * LARGE_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before = -(uintptr_t)room % LARGE_BYTES;

	if (room == MAP_FAILED)
		give_up("mmap: %s", strerror(errno));
	munmap(room, before);
	munmap(room + before + bytes + offset, 2 * LARGE_BYTES - before - offset);
	if (madvise(room + before, bytes + offset, MADV_HUGEPAGE))
		give_up("no transparent huge pages: %s", strerror(errno));
	return room + before + offset;
}

void *map_hugetlb(size_t bytes, int size_flag)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | size_flag, -1, 0);
}

bool reserve_huge_pages(const char *size, int count)
{
	char path[96], text[16] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%s/nr_hugepages", size);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return false;
	if (dprintf(fd, "%d\n", count) < 0 || pread(fd, text, sizeof(text) - 1, 0) < 0)
		text[0] = 0;
	close(fd);
	return atoi(text) >= count;
}

/* ------------------------------------------------------------------ guest -- */

/* Writes, or reads, one word in each of RCX pages from RBX on. */
GUEST_CODE(write_pages, 64,
	"1: mov	%eax, (%rbx)\n"
	"add	$0x1000, %rbx\n"
	"dec	%rcx\n"
	"jnz	1b\n"
	"out	%eax, $0x10\n");
asm(".globl write_pages, write_pages_end");
GUEST_CODE(read_pages, 64,
	"1: mov	(%rbx), %eax\n"
	"add	$0x1000, %rbx\n"
	"dec	%rcx\n"
	"jnz	1b\n"
	"out	%eax, $0x10\n");

/* The reason of the exit; the last word that was read is in the run page's io.data. */
static uint32_t go_over(struct vcpu *vcpu, const uint8_t *code, size_t bytes, uint64_t gpa,
			uint64_t pages, uint32_t value)
{
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rbx = gpa, .rcx = pages,
		.rax = value,
	};

	guest_long(vcpu, code, bytes);
	must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
	return guest_exit(vcpu);
}

uint32_t guest_write(struct vcpu *vcpu, uint64_t offset, uint64_t pages, uint32_t value)
{
	return go_over(vcpu, write_pages, CODE_BYTES(write_pages), WINDOW + offset, pages, value);
}

uint32_t guest_read(struct vcpu *vcpu, uint64_t offset, uint64_t pages)
{
	uint32_t reason = go_over(vcpu, read_pages, CODE_BYTES(read_pages), WINDOW + offset,
				  pages, 0);

	return reason == VHM_EXIT_IO ? vcpu->run->io.data : ~0u;
}

uint64_t faults_of_writing(struct vcpu *vcpu, uint64_t offset, uint64_t pages)
{
	uint64_t before = vcpu_stat(vcpu, VHM_STAT_EXIT_EPT);

	if (guest_write(vcpu, offset, pages, 1) != VHM_EXIT_IO)
		give_up("exit %u", vcpu->run->exit_reason);
	return vcpu_stat(vcpu, VHM_STAT_EXIT_EPT) - before;
}

uint64_t faults_of_reading(struct vcpu *vcpu, uint64_t offset, uint64_t pages)
{
	uint64_t before = vcpu_stat(vcpu, VHM_STAT_EXIT_EPT);

	if (guest_read(vcpu, offset, pages) == ~0u)
		give_up("exit %u", vcpu->run->exit_reason);
	return vcpu_stat(vcpu, VHM_STAT_EXIT_EPT) - before;
}

void warm_up(struct vcpu *vcpu, uint64_t offset)
{
	guest_write(vcpu, offset, 1, 1);
	guest_read(vcpu, offset, 1);
}
