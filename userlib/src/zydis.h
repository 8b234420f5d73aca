/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Zydis, brought into the process when the first instruction is to be decoded: most of a guest's
 * life, and all of its start, needs none of it.
 */
#ifndef VHM_ZYDIS_H
#define VHM_ZYDIS_H

#include <Zydis/Zydis.h>

/**
 * struct zydis - what the library uses of Zydis
 * @library: from vhm_sys_load(); NULL where Zydis is linked in
 * @decoder_init: ZydisDecoderInit()
 * @decode_full: ZydisDecoderDecodeFull()
 */
struct zydis {
	void *library;
	__typeof__(ZydisDecoderInit) *decoder_init;
	__typeof__(ZydisDecoderDecodeFull) *decode_full;
};

/* Each user has its own, and the process has one. -ELIBACC: it is not there. */
int zydis_load(struct zydis *zydis);
void zydis_unload(struct zydis *zydis);

#endif /* VHM_ZYDIS_H */
