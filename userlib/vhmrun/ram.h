/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The guest's RAM: what it is made of, as the command line wants it, and its population.
 *
 * Owns descriptors of memory; the mappings are the library's. Used by the main thread alone.
 */
#ifndef VHMRUN_RAM_H
#define VHMRUN_RAM_H

#include <libvhm.h>
#include <stdbool.h>

#include "memory_map.h"
#include "options.h"

/**
 * struct ram - the RAM
 * @fd: the file, or a memfd for each slot; -1 for none. Open as long as the guest is there, so that
 *	others can map its memory by /proc/PID/fd
 */
struct ram {
	int fd[2];
};

void ram_init(struct ram *ram);
/* Give the VM its memory. False: failed, and said why. */
bool ram_add(struct ram *ram, struct vhm_vm *vm, const struct memory_map *map,
	     const struct options *options);
/* The VM is gone. */
void ram_uninit(struct ram *ram);

#endif /* VHMRUN_RAM_H */
