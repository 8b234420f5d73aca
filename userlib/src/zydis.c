// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Finding Zydis. See zydis.h.
 *
 * ZYDIS_SONAME is the name of the shared library that the headers belong to, as the build found
 * it; without it Zydis is linked statically. No locks: the dynamic loader has its own, and counts
 * users.
 */
#include "zydis.h"

#include "internal.h"
#include "zydis_soname.h"

#ifdef ZYDIS_SONAME

#define NOTE_DLOPEN	0x407c0c0a
#define NOTE_VENDOR	"FDO"
#define NOTE_TEXT	"[{\"feature\":\"decode\",\"description\":\"Instructions behind MMIO exits\"," \
			"\"priority\":\"required\",\"soname\":[\"" ZYDIS_SONAME "\"]}]"

/*
 * For packagers' tools, which cannot see the dependency otherwise: "ELF dlopen metadata",
 * https://uapi-group.org/specifications/specs/elf_dlopen_metadata/
 */
static const struct {
	uint32_t vendor_bytes;
	uint32_t text_bytes;
	uint32_t type;
	char vendor[sizeof(NOTE_VENDOR)];
	_Alignas(4) char text[sizeof(NOTE_TEXT)];
} note __attribute__((used, aligned(4), section(".note.dlopen"))) = {
	sizeof(NOTE_VENDOR), sizeof(NOTE_TEXT), NOTE_DLOPEN, NOTE_VENDOR, NOTE_TEXT,
};

int zydis_load(struct zydis *zydis)
{
	void *library = vhm_sys_load(ZYDIS_SONAME);

	if (!library)
		return -ELIBACC;
	zydis->library = library;
	zydis->decoder_init = vhm_sys_symbol(library, "ZydisDecoderInit");
	zydis->decode_full = vhm_sys_symbol(library, "ZydisDecoderDecodeFull");
	if (zydis->decoder_init && zydis->decode_full)
		return 0;
	vhm_sys_unload(library);
	return -ELIBACC;
}

void zydis_unload(struct zydis *zydis)
{
	vhm_sys_unload(zydis->library);
}

#else

int zydis_load(struct zydis *zydis)
{
	zydis->library = NULL;
	zydis->decoder_init = ZydisDecoderInit;
	zydis->decode_full = ZydisDecoderDecodeFull;
	return 0;
}

void zydis_unload(struct zydis *zydis)
{
	(void)zydis;
}

#endif
