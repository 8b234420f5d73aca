/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included first everywhere (Kbuild): the prefix of this module's lines in the kernel log.
 */
#define pr_fmt(fmt) "vhm: " fmt
