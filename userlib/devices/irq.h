/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * An interrupt line: how a device model tells an interrupt controller about its level.
 *
 * Owns nothing. A device calls vdev_irq_set() with its own lock held, so that levels arrive in
 * the order in which they were computed; what is behind it must therefore not call back into
 * the device. Locks are taken in the order device, interrupt controller.
 */
#ifndef VDEV_IRQ_H
#define VDEV_IRQ_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct vdev_irq - an interrupt line
 * @set: called when the level changes; NULL: not connected
 * @context: handed to @set
 * @pin: handed to @set: pin of the interrupt controller
 */
struct vdev_irq {
	void (*set)(void *context, unsigned int pin, bool asserted);
	void *context;
	unsigned int pin;
};

static inline void vdev_irq_set(const struct vdev_irq *irq, bool asserted)
{
	if (irq->set)
		irq->set(irq->context, irq->pin, asserted);
}

#endif /* VDEV_IRQ_H */
